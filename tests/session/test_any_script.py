"""Whatever happens in whatever order: the laws of a conversation hold, and the session stays usable.

A script is a list of steps drawn at random: a peer, an engine and tools that behave like real ones, and
badly. After each script the transcript is held against the protocol and against our own laws.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.session.harness import Talk, configured, output_of, said, sound

from kaiwa.events import actions, client, engine, server
from kaiwa.events.config import (
    AudioInput,
    AudioInputUpdate,
    FunctionTool,
    SemanticVad,
    ServerVad,
    SessionAudioUpdate,
    SessionUpdate,
    Transcription,
)
from kaiwa.events.items import FunctionCall, FunctionCallOutput, InputText, Message
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import ToolProgress, ToolSpec
from kaiwa.events.usage import DurationUsage
from kaiwa.session.host import AS_CONFIGURED, HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.testing.conformance import ConformanceError

OWN = (ToolSpec(name="slow"), ToolSpec(name="quick"))
DETECTIONS = (None, ServerVad(), ServerVad(idle_timeout_ms=5000), ServerVad(interrupt_response=False),
              ServerVad(create_response=False), SemanticVad(eagerness="high"))  # fmt: skip
MODELS = ("w", "gpt-realtime-whisper")
ids = st.sampled_from(["item_1", "item_2", "item_3", "item_5", "mine", "nowhere"])
small = st.integers(0, 7)
STEPS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from([None, "mine"]), st.sampled_from([None, "item_1", "nowhere"])),
    st.tuples(st.just("request"), st.sampled_from(["auto", "none"])),
    st.tuples(st.just("cancel"), st.booleans()),
    st.tuples(st.just("text"), small),
    st.tuples(st.just("sound"), small),
    st.tuples(st.just("arguments"), small, st.integers(0, 2), st.sampled_from(["slow", "f"])),
    st.tuples(st.just("call"), small, st.integers(0, 2), st.sampled_from(["slow", "quick", "f"])),
    st.tuples(st.just("end"), small, st.sampled_from(["completed", "max_output_tokens", "failed"])),
    st.tuples(st.just("settle"), small),
    st.tuples(st.just("output"), small),
    st.tuples(st.just("speak"), st.integers(1, 20)),
    st.tuples(st.just("pause"), st.integers(1, 30)),
    st.tuples(st.just("judge"), st.floats(0, 1), st.sampled_from(["", "はい", "違う"])),
    st.tuples(st.just("commit")),
    st.tuples(st.just("clear")),
    st.tuples(st.just("detection"), st.sampled_from(DETECTIONS)),
    st.tuples(st.just("transcript"), ids, st.booleans()),
    st.tuples(st.just("draft")),
    st.tuples(st.just("say_followed")),
    st.tuples(st.just("append")),
    st.tuples(st.just("truncate"), ids, st.integers(0, 900)),
    st.tuples(st.just("delete"), ids),
    st.tuples(st.just("retrieve"), ids),
    st.tuples(st.just("stale"), small),
    st.tuples(st.just("clear_output")),
    st.tuples(st.just("odd")),
    st.tuples(st.just("wait"), st.floats(0.01, 8)),
)


class Script:
    """Plays steps; picks the response or call a number means from those that exist."""

    def __init__(
        self, detection: Any, policy: HostPolicy, kind: type[HostSession] = HostSession, model: str = "w"
    ) -> None:
        config = configured(
            input=AudioInput(turn_detection=detection, transcription=Transcription(model=model)),
            tools=(FunctionTool(name="f"),),
        )
        self.talk = Talk(config, policy=policy, tools=OWN, kind=kind)

    def play(self, step: tuple[Any, ...]) -> None:
        getattr(self, f"_{step[0]}")(*step[1:])

    def finish(self) -> None:
        """Let every response end, every tool settle and all sound drain."""
        self.talk.do(client.AudioCleared())
        for _ in range(4):
            for response_id in self._live():
                self.talk.do(engine.GenerationEnded(response_id=response_id))
            for call_id in self._running():
                self.talk.settle(call_id)
            self.talk.wait(0.5)
        off = AudioInputUpdate(turn_detection=None)
        self.talk.do(client.SettingsChanged(session=_update(SessionAudioUpdate(input=off))))
        for response_id in self._live():
            self.talk.do(engine.GenerationEnded(response_id=response_id))
        self.talk.wait(60)

    def _live(self) -> list[str]:
        done = {event.response.id for event in self.talk.of(server.ResponseDone)}
        return [e.response.id for e in self.talk.of(server.ResponseCreated) if e.response.id not in done]

    def _running(self) -> list[str]:
        return [action.call.call_id for action in self.talk.all if isinstance(action, actions.RunTool)]

    def _pick(self, values: list[str], number: int) -> str:
        return values[number % len(values)] if values else "resp_0"

    def _say(self, item_id: str | None, after: str | None) -> None:
        used = {event.item.id for event in self.talk.of(server.ItemAdded)}
        if item_id in used and item_id not in self.talk.session.conversation:
            return  # an id may be used again after a deletion, but the checker cannot tell
        content = (InputText(text="hello"),)
        item = (
            Message(role="user", content=content)
            if item_id is None
            else Message(id=item_id, role="user", content=content)
        )
        self.talk.do(client.ItemCreated(item=item, previous_item_id=after))

    def _request(self, conversation: str) -> None:
        self.talk.do(client.ResponseRequested(response=client.ResponseParams(conversation=conversation)))

    def _cancel(self, named: bool) -> None:
        self.talk.do(client.ResponseCancelled(response_id=self._pick(self._live(), 0) if named else None))

    def _text(self, n: int) -> None:
        self.talk.do(engine.TextDelta(response_id=self._pick(self._live(), n), text="ふむ。"))

    def _sound(self, n: int) -> None:
        response_id = self._pick(self._live(), n)
        self.talk.do(engine.TextDelta(response_id=response_id, text="ほら。"))
        self.talk.do(engine.AudioDelta(response_id=response_id, pcm=sound(60 + 130 * n)))

    def _arguments(self, n: int, index: int, name: str) -> None:
        self.talk.do(
            engine.ArgumentsDelta(response_id=self._pick(self._live(), n), index=index, name=name, delta="{")
        )

    def _call(self, n: int, index: int, name: str) -> None:
        response_id = self._pick(self._live(), n)
        # An engine completes what it began to stream.
        arguments = '{"a":1}' if index else "{}"
        self.talk.do(engine.ToolCalled(response_id=response_id, index=index, name=name, arguments=arguments))

    def _end(self, n: int, reason: Any) -> None:
        error = FailureDetail(type="server_error", message="no") if reason == "failed" else None
        self.talk.do(
            engine.GenerationEnded(response_id=self._pick(self._live(), n), reason=reason, error=error)
        )

    def _settle(self, n: int) -> None:
        call_id = self._pick(self._running(), n)
        self.talk.do(ToolProgress(call_id=call_id, fraction=0.5))
        self.talk.settle(call_id)

    def _output(self, n: int) -> None:
        self.talk.do(output_of(f"call_{n}"))

    def _speak(self, frames: int) -> None:
        self.talk.speak(frames * 32)

    def _pause(self, frames: int) -> None:
        self.talk.pause(frames * 32)

    def _judge(self, probability: float, text: str) -> None:
        for prepare in self.talk.of(engine.Prepare)[-1:]:
            likelihood = engine.TurnLikelihood(
                item_id=prepare.item_id, audio_ms=prepare.end_ms, probability=probability, text=text
            )
            self.talk.do(likelihood)

    def _commit(self) -> None:
        self.talk.do(client.AudioCommitted())

    def _clear(self) -> None:
        self.talk.do(client.AudioCleared())

    def _detection(self, detection: Any) -> None:
        audio = SessionAudioUpdate(input=AudioInputUpdate(turn_detection=detection))
        self.talk.do(client.SettingsChanged(session=_update(audio)))

    def _transcript(self, item_id: str, well: bool) -> None:
        failed = engine.TranscriptFailed(item_id=item_id, error=FailureDetail(type="server_error"))
        done = engine.TranscriptDone(item_id=item_id, text="語", usage=DurationUsage(seconds=1))
        self.talk.do(done if well else failed)

    def _followed(self) -> list[str]:
        return [command.transcribe.item_id for command in self.talk.of(engine.Follow)][-1:]

    def _draft(self) -> None:
        for item_id in self._followed():
            self.talk.do(engine.TranscriptDelta(item_id=item_id, text="こ"))

    def _say_followed(self) -> None:
        for item_id in self._followed():
            self._say(item_id, None)

    def _append(self) -> None:
        self.talk.do(client.AudioAppended(audio=sound(400)))

    def _truncate(self, item_id: str, ms: int) -> None:
        self.talk.do(client.ItemTruncateRequested(item_id=item_id, content_index=0, audio_end_ms=ms))

    def _delete(self, item_id: str) -> None:
        self.talk.do(client.ItemDeleteRequested(item_id=item_id))

    def _retrieve(self, item_id: str) -> None:
        self.talk.do(client.ItemRetrieveRequested(item_id=item_id))

    def _stale(self, n: int) -> None:
        done = [event.response.id for event in self.talk.of(server.ResponseDone)]
        assert self.talk.do(engine.TextDelta(response_id=self._pick(done, n), text="late")) == []

    def _clear_output(self) -> None:
        self.talk.do(client.OutputAudioCleared())

    def _odd(self) -> None:
        self.talk.do(client.AudioAppended(audio=b"abc"), client.FrameRejected(code="c", message="m"))

    def _wait(self, seconds: float) -> None:
        self.talk.wait(seconds)


def _update(audio: SessionAudioUpdate) -> SessionUpdate:
    return SessionUpdate(type="realtime", audio=audio)


# --- our own laws, beyond what the protocol's checker knows -------------------------------------


def one_default_response_at_a_time(talk: Talk) -> None:
    open_id = None
    for event in talk.events:
        if isinstance(event, server.ResponseCreated) and event.response.conversation_id:
            assert open_id is None, f"{event.response.id} began while {open_id} ran"
            open_id = event.response.id
        elif isinstance(event, server.ResponseDone) and event.response.id == open_id:
            open_id = None


def every_call_is_answered_at_most_once(talk: Talk) -> None:
    items = [event.item for event in talk.of(server.ItemAdded)]
    answered = [item.call_id for item in items if isinstance(item, FunctionCallOutput)]
    assert len(answered) == len(set(answered)), f"answered twice: {answered}"


def histories_hold_no_orphans(talk: Talk) -> None:
    """No output without its call before a model reads it, no unfinished item; settled calls have outputs."""
    settled: set[str] = set()
    for action in talk.all:
        match action:
            case actions.Send(event=server.ItemAdded(item=FunctionCallOutput() as output)):
                settled.add(output.call_id)
            case actions.Send(event=server.ItemDeleted()):
                settled.clear()
            case actions.Ask(command=engine.Generate(history=history)):
                calls = {item.call_id for item in history if isinstance(item, FunctionCall)}
                outputs = {item.call_id for item in history if isinstance(item, FunctionCallOutput)}
                assert outputs <= calls, f"{outputs - calls} answers nothing"
                dangling = (calls & settled) - outputs
                assert not dangling, f"{dangling} settled and has no output"
            case _:
                pass


def calls_run_once_and_only_when_complete(talk: Talk) -> None:
    done = {
        event.item.call_id
        for event in talk.of(server.OutputItemDone)
        if isinstance(event.item, FunctionCall) and event.item.status == "completed"
    }
    runs = [action.call.call_id for action in talk.all if isinstance(action, actions.RunTool)]
    assert len(runs) == len(set(runs)) and set(runs) <= done


def still_usable(talk: Talk) -> None:
    asked = talk.do(said("still there?"), client.ResponseRequested())
    assert asked[-1].startswith("ask Generate"), asked
    talk.do(engine.GenerationEnded(response_id=asked[-1].split()[-1]))


def words_are_told_of_what_is_spoken_or_written_down(talk: Talk) -> None:
    """A delta belongs to an item that was followed and not given up, or is committed and has no outcome."""
    open_ids: set[str] = set()
    for action in talk.all:
        match action:
            case actions.Ask(command=engine.Follow(transcribe=wanted)):
                open_ids.add(wanted.item_id)
            case actions.Ask(command=engine.Transcribe(item_id=item_id)):
                open_ids.add(item_id)
            case actions.Ask(command=engine.Unfollow(item_id=item_id)):
                open_ids.remove(item_id)
            case actions.Send(event=server.InputTranscriptionCompleted(item_id=item_id)):
                open_ids.remove(item_id)
            case actions.Send(event=server.InputTranscriptionFailed(item_id=item_id)):
                open_ids.remove(item_id)
            case actions.Send(event=server.InputTranscriptionDelta(item_id=item_id)):
                assert item_id in open_ids, f"words of {item_id}, which nobody speaks"
            case _:
                pass


LAWS = (
    one_default_response_at_a_time,
    words_are_told_of_what_is_spoken_or_written_down,
    every_call_is_answered_at_most_once,
    histories_hold_no_orphans,
    calls_run_once_and_only_when_complete,
    still_usable,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(DETECTIONS), st.booleans(), st.sampled_from(MODELS), st.lists(STEPS, max_size=40))
def test_any_script_keeps_the_laws(detection, paced: bool, model: str, steps):
    script = Script(detection, HostPolicy(paced_output=paced, lifetime_s=None), model=model)
    for step in steps:
        script.play(step)
    script.finish()
    for law in LAWS:
        law(script.talk)
    script.talk.check()


# --- each law catches a planted fault ----------------------------------------------------------


class TwoAtOnce(HostSession):
    def _start(self, plan):
        self._answers.active = None
        super()._start(plan)


class SettlesTwice(HostSession):
    def _settle_call(self, event, now):
        self._calls.running = lambda call_id: True
        self._calls.settle = lambda call_id, now: None
        super()._settle_call(event, now)


class ForgetsOutputs(HostSession):
    """Its model is never shown what a tool gave."""

    def _plan(self, params=AS_CONFIGURED):
        whole = self.conversation.context()
        kept = tuple(entry for entry in whole if not isinstance(entry.item, FunctionCallOutput))
        return dataclasses.replace(super()._plan(params), history=kept)


class RunsUnfinished(HostSession):
    def _handlers_by_type(self):
        handlers = super()._handlers_by_type()
        plain = handlers[engine.ArgumentsDelta]

        def run_early(event, now):
            plain(event, now)
            call = engine.ToolCalled(response_id="", index=0, name="slow", arguments="{")
            self._outbox.run_tool(_tool_call(call))

        handlers[engine.ArgumentsDelta] = run_early
        return handlers


def _tool_call(event):
    from kaiwa.events.tools import ToolCall

    return ToolCall(call_id="call_1", name=event.name, arguments=event.arguments, response_id="resp_1")


class NeverEnds(HostSession):
    def _finish_response(self, event, now):
        pass


class KeepsTalking(HostSession):
    """After a cancel it lets the late words through."""

    def _cancel_response(self, event, now):
        response = self._answers.active
        super()._cancel_response(event, now)
        response.add_text("and another thing")


class WrongPredecessor(HostSession):
    """It says of every item that it comes first."""

    def _create_item(self, event, now):
        self.conversation.add = lambda item_id, entry, after=None: None
        super()._create_item(event, now)


class RepeatsIds(HostSession):
    def _create_item(self, event, now):
        super()._create_item(event, now)
        self._outbox._actions.extend(self._outbox._actions[-1:])


class TellsWhatWasGivenUp(HostSession):
    def _clear_audio(self, event, now):
        given_up = self._transcripts.followed
        super()._clear_audio(event, now)
        self._transcripts._followed = given_up


FIRST_CALL = [("request", "auto"), ("call", 0, 0, "slow"), ("end", 0, "completed")]
PLANTED = [
    (TwoAtOnce, [("request", "auto"), ("request", "auto")], one_default_response_at_a_time),
    (SettlesTwice, [*FIRST_CALL, ("settle", 0), ("settle", 0)], every_call_is_answered_at_most_once),
    (ForgetsOutputs, [*FIRST_CALL, ("settle", 0), ("request", "auto")], histories_hold_no_orphans),
    (
        RunsUnfinished,
        [("request", "auto"), ("arguments", 0, 0, "slow")],
        calls_run_once_and_only_when_complete,
    ),
    (NeverEnds, [("request", "auto"), ("end", 0, "completed")], still_usable),
    (NeverEnds, [("request", "auto"), ("end", 0, "completed")], Talk.check),
    (KeepsTalking, [("request", "auto"), ("text", 0), ("cancel", False)], Talk.check),
    (WrongPredecessor, [("say", None, None), ("say", None, None)], Talk.check),
    (RepeatsIds, [("say", None, None)], Talk.check),
    (
        TellsWhatWasGivenUp,
        [("append",), ("clear",), ("draft",)],
        words_are_told_of_what_is_spoken_or_written_down,
    ),
]


@pytest.mark.parametrize(("kind", "steps", "law"), PLANTED)
def test_each_law_catches_a_planted_fault(kind, steps, law):
    def play(session_kind: type[HostSession]) -> Talk:
        script = Script(None, HostPolicy(), session_kind, model="gpt-realtime-whisper")
        for step in steps:
            script.play(step)
        return script.talk

    with pytest.raises((AssertionError, ConformanceError)):
        law(play(kind))
