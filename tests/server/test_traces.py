"""Traces as a collector gets them from the stock exporter: whole trees, their ids and times, and nobody's words."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.raw_upstream import END, raw_upstream, sized
from tests.gateway.relaying import DONE, FINISH, USAGE, event, streamed, text
from tests.server.collector import Collector, Told, collecting
from tests.server.running import InThisLoop, at_home, running
from websockets.asyncio.client import connect

from kaiwa.errors import ConfigError
from kaiwa.server.conversations import HostAnswerer
from kaiwa.server.logs import JsonFacts
from kaiwa.server.settings_traces import address_of
from kaiwa.server.traces import exporting
from kaiwa.server.traces.house import traces_of
from kaiwa.server.traces.incoming import TraceIds
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import DEFAULT_RULES, Call, Rule, Script

SECRET = "weather-words-that-nobody-else-may-read"
CITY = "Tokyo"
RULE = Rule(pattern=".*weather.*", answers=(Call(name="get_weather", arguments=json.dumps({"city": CITY})),))
SCRIPT = Script(hears=(SECRET,), rules=(RULE, *DEFAULT_RULES))
LOUD, QUIET = b"\x00\x40\x00\xc0" * 12_000, b"\x00\x00" * 24_000
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@asynccontextmanager
async def house(collector: Collector, directory: Path, **more: Any) -> AsyncIterator[InThisLoop]:
    """A house that is traced. When it has ended, the collector has every span."""
    settings = at_home(directory, otel_exporter_otlp_endpoint=collector.endpoint, **more)
    answerer = HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))
    async with running(settings, answerer) as server:
        yield server


@asynccontextmanager
async def talking(server: InThisLoop, **headers: str) -> AsyncIterator[Any]:
    url = f"{server.addresses[0].replace('http', 'ws')}/v1/realtime?model=weather"
    async with asyncio.timeout(20), connect(url, additional_headers=headers, proxy=None) as socket:
        yield socket


async def send(socket: Any, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def until_answered(socket: Any, *, transcribed: bool = False) -> None:
    """Hear until a response ends that calls nothing; with `transcribed`, until the caller's words came too."""
    answered = False
    async for frame in socket:
        said = json.loads(frame)
        transcribed = transcribed and not said["type"].endswith("transcription.completed")
        if said["type"] == "response.done":
            answered = said["response"]["output"][-1]["type"] == "message"
        if answered and not transcribed:
            return


async def speak(socket: Any) -> None:
    transcription = {"model": "gpt-4o-transcribe"}
    session = {"type": "realtime", "audio": {"input": {"transcription": transcription}}}
    await send(socket, "session.update", session=session)
    for sound in (LOUD, QUIET, QUIET):
        await send(socket, "input_audio_buffer.append", audio=base64.b64encode(sound).decode())


async def write(socket: Any, words: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
    await send(socket, "conversation.item.create", item=item)
    await send(socket, "response.create", response={"output_modalities": ["text"]})


async def test_a_whole_conversation_is_one_tree(tmp_path: Path) -> None:
    async with collecting() as collector, house(collector, tmp_path) as server, talking(server) as socket:
        await speak(socket)
        await until_answered(socket, transcribed=True)
        await write(socket, "good day")
        await until_answered(socket)

    assert collector.complaints() == []
    assert collector.tree() == [
        "conversation weather",
        "  invoke_agent weather",
        "    speech",
        "    silence",
        "    recognition",
        "    turn decision",
        "    chat weather",
        "    execute_tool get_weather",
        "    chat weather",
        "      synthesis",
        "  invoke_agent weather",
        "    chat weather",
    ]
    _is_told_by_the_conventions(collector)
    _shows_the_waterfall(collector)


def _is_told_by_the_conventions(collector: Collector) -> None:
    assert (collector.scope, collector.resource["service.name"]) == ("kaiwa", "kaiwa")
    root = collector.named("conversation weather")
    session_id = root.attributes["gen_ai.conversation.id"]
    assert root.attributes == {
        "gen_ai.conversation.id": session_id,
        "gen_ai.agent.name": "weather",
        "gen_ai.request.model": "weather",
        "kaiwa.door": "websocket",
        "kaiwa.turns": 2,
        "kaiwa.ending": "peer_gone",
    }
    assert (root.kind, root.parent) == ("server", "")
    tool = collector.named("execute_tool get_weather")
    call_id = tool.attributes.pop("gen_ai.tool.call.id")
    assert call_id.startswith("call_")
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.type": "function",
        "gen_ai.conversation.id": session_id,
        "kaiwa.tool.outcome": "completed",
    }
    called, told, typed = (span for span in _by_time(collector) if span.name == "chat weather")
    for answer, output in ((called, "text"), (told, "speech"), (typed, "text")):
        assert answer.attributes["gen_ai.operation.name"] == "chat"
        assert answer.attributes["gen_ai.provider.name"] == "kaiwa"
        assert answer.attributes["gen_ai.output.type"] == output
        assert answer.attributes["gen_ai.response.finish_reasons"] == ["completed"]
        assert answer.attributes["gen_ai.usage.output_tokens"] > 0
    assert told.attributes["gen_ai.usage.audio.output_tokens"] > 0
    assert called.ended <= tool.began <= tool.ended <= told.began


def _shows_the_waterfall(collector: Collector) -> None:
    spoken, typed = (span for span in _by_time(collector) if span.name == "invoke_agent weather")
    of = {
        name: collector.named(name)
        for name in ("speech", "silence", "turn decision", "recognition", "synthesis")
    }
    first = next(span for span in _by_time(collector) if span.name == "chat weather")
    assert spoken.began == of["speech"].began
    assert of["speech"].ended == of["silence"].began
    assert of["silence"].ended == of["turn decision"].began == of["recognition"].began
    assert of["turn decision"].ended == first.began
    told = next(span for span in collector.spans if span.id == of["synthesis"].parent)
    moments = dict(told.events)
    assert moments["first token"] == of["synthesis"].began
    assert of["synthesis"].began <= moments["first audio"] <= of["synthesis"].ended
    steps = spoken.attributes
    assert steps["kaiwa.turn.silence_ms"] == pytest.approx(_ms(of["silence"]), abs=0.1)
    assert steps["kaiwa.turn.decision_ms"] == pytest.approx(_ms(of["turn decision"]), abs=0.1)
    assert steps["kaiwa.turn.recognition_ms"] == pytest.approx(_ms(of["recognition"]), abs=0.1)
    assert steps["kaiwa.turn.voice_ms"] >= 0 and steps["kaiwa.turn.words_ms"] > 0
    assert (steps["kaiwa.turn.number"], steps["kaiwa.turn.spoken"], steps["kaiwa.turn.answers"]) == (
        1,
        True,
        2,
    )
    assert typed.attributes["kaiwa.turn.spoken"] is False
    assert spoken.ended <= typed.began


def _by_time(collector: Collector) -> list[Told]:
    return sorted(collector.spans, key=lambda span: span.began)


def _ms(span: Told) -> float:
    return (span.ended - span.began) / 1e6


async def test_nobodys_words_are_in_a_trace_unless_the_operator_wants_them(tmp_path: Path) -> None:
    for captures in (False, True):
        async with (
            collecting() as collector,
            house(collector, tmp_path, otel_capture_content=captures) as server,
            talking(server) as socket,
        ):
            await speak(socket)
            await until_answered(socket, transcribed=True)
        sent = b"".join(collector.raw)
        assert (SECRET.encode() in sent, CITY.encode() in sent) == (captures, captures)
    turn, tool = collector.named("invoke_agent weather"), collector.named("execute_tool get_weather")
    assert json.loads(turn.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": SECRET}]}
    ]
    assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == {"city": CITY}
    told = next(span for span in collector.spans if "gen_ai.output.messages" in span.attributes)
    assert "The tool said:" in told.attributes["gen_ai.output.messages"]


async def test_a_peer_that_is_traced_has_the_conversation_in_its_own_trace(tmp_path: Path) -> None:
    async with collecting() as collector, house(collector, tmp_path) as server:
        async with talking(server, traceparent=PARENT) as socket:
            await write(socket, "good day")
            await until_answered(socket)
        async with talking(server, traceparent="00-nonsense") as socket:
            await write(socket, "good day")
            await until_answered(socket)
    below, alone = (span for span in _by_time(collector) if span.name == "conversation weather")
    assert (below.trace_id, below.parent) == (PARENT[3:35], PARENT[36:52])
    assert alone.parent == "" and alone.trace_id != below.trace_id
    assert collector.complaints() == []


def upstreams(*ports: int) -> str:
    return json.dumps(
        [
            {
                "name": f"tier-{tier}",
                "base_url": f"http://127.0.0.1:{port}/v1",
                "models": ["gpt-4o"],
                "tier": tier,
            }
            for tier, port in enumerate(ports)
        ]
    )


async def relay(server: InThisLoop, **headers: str) -> bytes:
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": SECRET}]}
    url = f"{server.addresses[0]}/v1/chat/completions"
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as answer:
        return await answer.read()


FAILS = [sized(b'{"error": {"code": "overloaded"}}', "503 Service Unavailable")]
WORKS = [*streamed(event(text("a"), text("b"), FINISH, USAGE) + DONE), END]


async def test_a_relayed_request_shows_every_try_and_hands_its_trace_on(tmp_path: Path) -> None:
    async with collecting() as collector, raw_upstream(FAILS) as first, raw_upstream(WORKS) as second:
        async with house(collector, tmp_path, upstreams=upstreams(first.port, second.port)) as server:
            assert b"[DONE]" in await relay(server, traceparent=PARENT, tracestate="other=1")
        asked = [await first.request(), await second.request()]

    assert collector.complaints() == []
    assert collector.tree() == ["chat gpt-4o", "  try tier-0 !overloaded", "  try tier-1"]
    request = collector.named("chat gpt-4o")
    assert (request.trace_id, request.parent, request.kind) == (PARENT[3:35], PARENT[36:52], "client")
    named = {name: value for name, value in request.attributes.items() if name != "kaiwa.stream.id"}
    assert 0 < named.pop("gen_ai.response.time_to_first_chunk") < 5
    assert named == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "compatible",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "kaiwa.stream.reason": "completed",
        "kaiwa.stream.attempts": 2,
        "kaiwa.usage.estimated": False,
        "kaiwa.deployment": "tier-1",
        "http.response.status_code": 200,
    }
    assert [name for name, _ in request.events] == ["first token"]
    failed, worked = collector.named("try tier-0"), collector.named("try tier-1")
    assert failed.attributes == {
        "kaiwa.deployment": "tier-0",
        "kaiwa.try.number": 1,
        "kaiwa.try.outcome": "refused",
        "kaiwa.try.hedge": False,
        "http.response.status_code": 503,
        "error.type": "overloaded",
    }
    assert failed.ended <= worked.began
    for one, span in zip(asked, (failed, worked), strict=True):
        assert one.headers["traceparent"] == f"00-{request.trace_id}-{span.id}-01"
        assert one.headers["tracestate"] == "other=1"
    assert SECRET.encode() not in b"".join(collector.raw)


async def test_a_request_that_nobody_serves_and_one_that_breaks_off_say_why(tmp_path: Path) -> None:
    cut = [*streamed(event(text("a"))), "cut"]
    async with (
        collecting() as collector,
        raw_upstream(cut) as upstream,
        house(collector, tmp_path, upstreams=upstreams(upstream.port)) as server,
    ):
        assert b"upstream_cut_off" in await relay(server)
        url = f"{server.addresses[0]}/v1/embeddings"
        body = {"model": "no such model", "input": SECRET}
        async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
            assert answer.status == 404
    assert sorted(collector.tree()) == [
        "  try tier-0 !cut",
        "chat gpt-4o !upstream_cut_off",
        "embeddings no such model !404",
    ]


async def test_an_agents_model_behind_the_relay_is_in_the_conversations_trace(tmp_path: Path) -> None:
    async with collecting() as collector, raw_upstream(WORKS) as upstream:
        given = {"upstreams": upstreams(upstream.port), "engine": "text", "chat_model": "gpt-4o"}
        settings = at_home(tmp_path, otel_exporter_otlp_endpoint=collector.endpoint, **given)
        async with running(settings, as_configured=True) as server:
            url = f"{server.addresses[0]}/api/chat-stream"
            async with aiohttp.ClientSession() as http, http.post(url, json={"prompt": SECRET}) as answer:
                assert b"data: b" in await answer.read()
    assert collector.complaints() == []
    (root,) = (line for line in collector.tree() if not line.startswith(" "))
    assert collector.tree()[1:] == [
        f"  invoke_{root.removeprefix('conversation ')}".replace("invoke_", "invoke_agent "),
        "    response",
        "      chat gpt-4o",
        "        try tier-0",
    ]
    counted = [span.name for span in collector.spans if "gen_ai.usage.output_tokens" in span.attributes]
    assert counted == ["chat gpt-4o"]


async def test_a_collector_that_is_silent_or_away_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PARTING_S", 0.3)
    async with collecting(answers=False) as silent, raw_upstream(WORKS) as upstream:
        for endpoint in (silent.endpoint, "http://127.0.0.1:1"):
            silent.endpoint = endpoint
            async with house(silent, tmp_path, upstreams=upstreams(upstream.port)) as server:
                began = time.monotonic()
                for _ in range(40):
                    assert b"[DONE]" in await relay(server)
                assert time.monotonic() - began < 4
                leaving = time.monotonic()
            assert time.monotonic() - leaving < 3


async def test_lines_of_the_log_name_the_trace(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="kaiwa")
    caplog.handler.addFilter(TraceIds())
    async with (
        collecting() as collector,
        raw_upstream(WORKS) as upstream,
        house(collector, tmp_path, upstreams=upstreams(upstream.port)) as server,
    ):
        await relay(server)
        async with talking(server) as socket:
            await write(socket, "good day")
            await until_answered(socket)
    lines = {line["message"]: line for line in map(json.loads, map(JsonFacts().format, caplog.records))}
    conversation, request = collector.named("conversation weather"), collector.named("chat gpt-4o")
    assert lines["session opened"]["trace_id"] == lines["session closed"]["trace_id"] == conversation.trace_id
    assert lines["request relayed"]["trace_id"] == request.trace_id
    assert request.trace_id != conversation.trace_id


def test_what_cannot_be_sent_is_said_with_its_remedy(tmp_path: Path) -> None:
    wrong = [
        ({"otel_exporter_otlp_endpoint": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"otel_exporter_otlp_protocol": "grpc"}, "http/protobuf"),
        ({"otel_traces_exporter": "zipkin"}, "Use otlp or none"),
    ]
    for given, said in wrong:
        with pytest.raises(ConfigError, match=said):
            at_home(tmp_path, **{"otel_exporter_otlp_endpoint": "http://127.0.0.1:4318", **given})
        at_home(tmp_path, otel_sdk_disabled=True, **given)


def test_nothing_is_traced_where_no_collector_is_named(tmp_path: Path) -> None:
    off = [{}, {"otel_sdk_disabled": True}, {"otel_traces_exporter": "none"}]
    given: dict[str, Any] = {"otel_exporter_otlp_endpoint": "http://127.0.0.1:4318"}
    assert traces_of(at_home(tmp_path)) is None
    for more in off[1:]:
        assert traces_of(at_home(tmp_path, **given, **more)) is None
    assert address_of(at_home(tmp_path, **given)) == "http://127.0.0.1:4318/v1/traces"
    whole = {"otel_exporter_otlp_traces_endpoint": "https://c.example/t"}
    assert address_of(at_home(tmp_path, **given, **whole)) == "https://c.example/t"


NO_EXTRA = """
import sys
sys.modules["opentelemetry.sdk"] = None
from pathlib import Path
from kaiwa.errors import ConfigError
from kaiwa.server.settings import Settings
from kaiwa.server.traces.house import traces_of
assert traces_of(Settings()) is None
try:
    traces_of(Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:4318"))
except ConfigError as wrong:
    print(wrong)
"""


def test_without_the_extra_an_endpoint_is_an_error_that_names_it() -> None:
    made = subprocess.run(
        [sys.executable, "-c", NO_EXTRA], capture_output=True, text=True, timeout=30, check=True
    )
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in made.stdout
    assert "pip install 'kaiwa[otel]'" in made.stdout
