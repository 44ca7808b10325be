"""Turns in traces, in virtual time: interruptions, calls that outlive their turn, sound that plays on; and relays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from tests.hub.bending import Bend
from tests.hub.house import House, serving
from tests.relay.relayed import peer_of
from tests.server.collector import collecting
from tests.server.running import at_home, running

from kaiwa.events import server
from kaiwa.events.relay import PassedFrame
from kaiwa.events.response import Response
from kaiwa.events.tools import ToolCall, ToolSettled
from kaiwa.hub import Hub, HubOptions
from kaiwa.server.measures.conversations import Opened
from kaiwa.server.measures.turns import Step
from kaiwa.server.relay import relay_from
from kaiwa.server.traces.conversations import ConversationTrace
from kaiwa.server.traces.hubs import follow_calls
from kaiwa.server.traces.spans import HERE, Span, SpanContext, read_context
from kaiwa.testing.service import Faults, Service, running_service


class Kept:
    """A sink that keeps spans where a test can see them."""

    def __init__(self, keeping: bool = True) -> None:
        self.spans: list[Span] = []
        self._keeping = keeping

    def keeps(self, parent: SpanContext | None, trace_id: int, name: str) -> bool:
        return self._keeping

    def write(self, span: Span) -> None:
        self.spans.append(span)

    @contextmanager
    def within(self, context: SpanContext) -> Iterator[None]:
        yield

    def drawn(self) -> list[str]:
        """Return every span with its times, under its parent."""
        lines: list[str] = []

        def draw(parent: SpanContext | None, depth: int) -> None:
            for span in sorted(self.spans, key=lambda one: (one.began, -one.ended)):
                if span.parent == parent:
                    error = f" !{span.error}" if span.error else ""
                    lines.append(f"{'  ' * depth}{span.name} {span.began:g}-{span.ended:g}{error}")
                    draw(span.context, depth + 1)

        draw(None, 0)
        return lines


OPENED = Opened("sess_1", "webrtc", "desk", "gpt-realtime", 0.0)


class Story:
    """A conversation that is told step by step, with the moment of each."""

    def __init__(self, *, silence_ms: int | None = 500, keeping: bool = True) -> None:
        self.sink = Kept(keeping)
        self.trace = ConversationTrace(self.sink, OPENED, silence_ms=lambda: silence_ms)

    def heard(self, began: float, stopped: float, item: str) -> None:
        self.tell("speech", server.SpeechStarted(event_id="e", audio_start_ms=0, item_id=item), began)
        self.tell("stopped", server.SpeechStopped(event_id="e", audio_end_ms=0, item_id=item), stopped)
        committed = server.InputAudioCommitted(event_id="e", item_id=item, previous_item_id=None)
        self.tell("committed", committed, stopped)

    def began(self, response_id: str, at: float) -> None:
        self.tell("response", server.ResponseCreated(event_id="e", response=_response(response_id)), at)

    def gave(self, step: Step, response_id: str, at: float) -> None:
        self.tell(step, PassedFrame(type="", frame=f'{{"response_id": "{response_id}"}}'), at)

    def done(self, response_id: str, at: float, status: str = "completed") -> None:
        self.tell("done", server.ResponseDone(event_id="e", response=_response(response_id, status)), at)

    def tell(self, step: Step, event: server.ServerEvent, at: float) -> None:
        self.trace.took(step, event, at)

    def over(self, at: float, reason: str = "peer gone") -> list[str]:
        self.trace.over(reason, at)
        return self.sink.drawn()


def _response(response_id: str, status: Any = "in_progress") -> Response:
    return Response(id=response_id, status=status, conversation_id=None, output_modalities=("audio",))


def call(response_id: str, call_id: str = "call_1") -> ToolCall:
    return ToolCall(call_id=call_id, name="look", arguments="{}", response_id=response_id)


def test_the_steps_of_a_spoken_turn_are_spans_on_one_clock() -> None:
    story = Story()
    story.heard(1, 3, "item_1")
    story.began("r1", 3.25)
    story.tell("transcribed", PassedFrame(type="", frame='{"item_id": "item_1", "transcript": "x"}'), 3.5)
    story.gave("words", "r1", 4)
    story.gave("sound", "r1", 4.5)
    story.gave("playing", "r1", 4.75)
    story.gave("sounded", "r1", 6)
    story.done("r1", 6.25)
    story.gave("played", "r1", 8)
    assert story.over(10) == [
        "conversation desk 0-10",
        "  invoke_agent desk 1-8",
        "    speech 1-2.5",
        "    silence 2.5-3",
        "    recognition 3-3.5",
        "    turn decision 3-3.25",
        "    chat gpt-realtime 3.25-6.25",
        "      synthesis 4-6",
        "      playout 4.75-8",
    ]
    (turn,) = (span for span in story.sink.spans if span.name.startswith("invoke_agent"))
    steps = {
        name.removeprefix("kaiwa.turn."): value for name, value in turn.attributes.items() if "_ms" in name
    }
    assert steps == {
        "silence_ms": 500.0,
        "decision_ms": 250.0,
        "words_ms": 750.0,
        "voice_ms": 500.0,
        "playout_ms": 250.0,
        "recognition_ms": 500.0,
    }


def test_an_interruption_ends_one_turn_and_begins_the_next() -> None:
    story = Story()
    story.heard(1, 2, "item_1")
    story.began("r1", 2)
    story.gave("sound", "r1", 3)
    story.tell("speech", server.SpeechStarted(event_id="e", audio_start_ms=0, item_id="item_2"), 4)
    story.done("r1", 4.5, "cancelled")
    story.heard(4, 6, "item_2")
    story.began("r2", 6)
    story.done("r2", 7)
    turns = [line for line in story.over(9) if "invoke_agent" in line or "chat" in line]
    assert turns == [
        "  invoke_agent desk 1-4.5",
        "    chat gpt-realtime 2-4.5",
        "  invoke_agent desk 4-7",
        "    chat gpt-realtime 6-7",
    ]


def test_a_call_that_outlives_its_turn_stays_in_it_and_its_answer_is_of_the_turn_that_runs() -> None:
    story = Story()
    story.heard(1, 2, "item_1")
    story.began("r1", 2)
    story.trace.calling(call("r1"), "look", 2.5)
    story.done("r1", 3)
    story.began("r2", 3.5)  # a word that it takes time
    story.done("r2", 4)
    story.heard(5, 6, "item_2")
    story.began("r3", 6)
    story.done("r3", 7)
    settled = ToolSettled(call_id="call_1", output="done", failed=True)
    story.trace.called(call("r1"), "look", settled, 20)
    story.began("r4", 21)
    story.done("r4", 22)
    drawn = [line for line in story.over(30) if "speech" not in line and "silence" not in line]
    assert [line for line in drawn if "decision" not in line] == [
        "conversation desk 0-30",
        "  invoke_agent desk 1-20",
        "    chat gpt-realtime 2-3",
        "    execute_tool look 2.5-20 !failed",
        "    chat gpt-realtime 3.5-4",
        "  invoke_agent desk 5-7",
        "    chat gpt-realtime 6-7",
        "  invoke_agent desk 21-22",
        "    chat gpt-realtime 21-22",
    ]


def test_a_word_that_it_takes_time_does_not_end_the_turn() -> None:
    story = Story(silence_ms=None)
    story.began("r1", 1)
    story.trace.calling(call("r1"), "look", 2)
    story.done("r1", 3)
    story.began("r2", 4)  # said while the call runs
    story.done("r2", 5)
    story.trace.called(call("r1"), "look", ToolSettled(call_id="call_1", output="done"), 8)
    story.began("r3", 9)
    story.done("r3", 10)
    assert story.over(11) == [
        "conversation desk 0-11",
        "  invoke_agent desk 1-10",
        "    chat gpt-realtime 1-3",
        "    execute_tool look 2-8",
        "    chat gpt-realtime 4-5",
        "    chat gpt-realtime 9-10",
    ]


def test_what_runs_at_the_end_is_cut_and_a_bad_end_has_its_code() -> None:
    story = Story(silence_ms=None)
    story.heard(1, 2, "item_1")
    story.began("r1", 2)
    assert story.over(5, "The engine was lost.") == [
        "conversation desk 0-5 !engine_lost",
        "  invoke_agent desk 1-2",
        "    speech 1-2",
        "    chat gpt-realtime 2-5 !cut",
        "    turn decision 2-2",
    ]


def test_a_trace_that_is_not_kept_hands_on_its_ids_and_writes_nothing() -> None:
    story = Story(keeping=False)
    story.heard(1, 2, "item_1")
    story.began("r1", 2)
    assert story.over(5) == []
    assert story.trace.trace.root.headers["traceparent"].endswith("-00")


@given(some.lists(some.tuples(some.integers(0, 9), some.integers(0, 3)), max_size=60))
def test_no_order_of_steps_loses_a_span_or_breaks_the_tree(told: list[tuple[int, int]]) -> None:
    story, now = Story(), 0.0
    steps: tuple[Step, ...] = ("words", "sound", "sounded", "playing", "played")
    for what, which in told:
        now += 1
        name = f"r{which}"
        match what:
            case 0:
                story.heard(now, now + 0.5, name)
            case 1 | 2:
                story.began(name, now)
            case 3:
                story.done(name, now)
            case 4:
                story.trace.calling(call(name, name), "look", now)
            case 5:
                story.trace.called(call(name, name), "look", None, now)
            case _:
                story.gave(steps[what - 5], name, now)
    story.over(now + 1)
    ids = [span.context.span_id for span in story.sink.spans]
    assert len(ids) == len(set(ids))
    known = set(ids)
    assert all(span.parent is None or span.parent.span_id in known for span in story.sink.spans)
    assert all(span.began <= span.ended for span in story.sink.spans)


@given(some.text())
def test_whatever_a_peer_sends_as_its_trace_is_read_or_left(given: str) -> None:
    context = read_context(given, given)
    assert context is None or context.headers["traceparent"][3:52] == given.strip()[3:52]


async def test_a_relayed_conversation_shows_the_deployments_that_were_tried(tmp_path: Path) -> None:
    async with collecting() as collector, running_service() as bad, running_service() as good:
        bad.faults = Faults(http_status=503)
        settings = at_home(
            tmp_path,
            otel_exporter_otlp_endpoint=collector.endpoint,
            realtime_upstreams=[entry("bad", bad), entry("good", good)],
        )
        async with (
            running(settings, relay_from(settings)) as house,
            peer_of(house.addresses[0].replace("http", "ws")) as peer,
        ):
            await peer.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
            await peer.say("Hello")
            await peer.until("response.done")
    assert collector.complaints() == []
    assert collector.tree() == [
        "conversation kaiwa-local",
        "  connect bad !503",
        "  connect good",
        "  invoke_agent kaiwa-local",
        "    chat gpt-realtime",
    ]
    answer, dialled = collector.named("chat gpt-realtime"), collector.named("connect good")
    assert answer.attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert answer.attributes["gen_ai.usage.output_tokens"] > 0
    assert good.requests[-1].header("traceparent") == f"00-{dialled.trace_id}-{dialled.id}-01"


def entry(name: str, service: Service) -> dict[str, Any]:
    return {"name": name, "endpoint": service.url, "deployment": "voice", "api_key": service.key}


class Chat(Hub):
    """Tells where its code runs."""

    async def where(self) -> str:
        here = HERE.get()
        return "" if here is None else f"{here.context.span_id:x}"

    async def breaks(self) -> None:
        raise ValueError("a secret")


async def test_calls_of_a_hub_are_spans_and_unknown_names_are_not_told() -> None:
    sink = Kept()
    hub = Chat(HubOptions(follow=follow_calls(sink)))
    async with serving(hub) as port, hub.running(), House(hub, port, Bend()).socket() as client:
        await client.hello()
        here = (await client.invoke("where"))["result"]
        await client.invoke("breaks")
        await client.invoke("a-name-of-the-client")
        async with asyncio.timeout(20):
            while len(sink.spans) < 3:  # noqa: ASYNC110 - the client hears of an end before it is written down
                await asyncio.sleep(0.005)
    assert [(span.name, span.kind, span.error) for span in sink.spans] == [
        ("Chat/where", "server", None),
        ("Chat/breaks", "server", "failed"),
        ("Chat/_OTHER", "server", "refused"),
    ]
    assert here == f"{sink.spans[0].context.span_id:x}"
    assert sink.spans[0].attributes == {"rpc.system": "signalr", "rpc.service": "Chat", "rpc.method": "where"}
