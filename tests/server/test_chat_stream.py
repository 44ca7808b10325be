"""Questions by POST and answers as event streams, over real sockets: whole, resumable, and stopped when nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.server.running import at_home, running

from kaiwa.events.engine import EngineCommand, EngineEvent, Generate, GenerationEnded, Stop, TextDelta
from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.scripted import ScriptedEngine, answering, calling, last_text
from kaiwa.upstream.sse import EventStreamParser

KEY = "kaiwa-test-key"


class Watched(ScriptedEngine):
    """Tells whenever it was asked for something, and when it was closed."""

    def __init__(self, news: asyncio.Event) -> None:
        super().__init__(in_words)
        self.news = news

    def ask(self, command: EngineCommand) -> None:
        super().ask(command)
        self.news.set()

    async def close(self) -> None:
        await super().close()
        self.news.set()


class House:
    """A running server whose model is a script, and somebody who asks it."""

    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self.address = address
        self.http = http
        self.engines: list[Watched] = []
        self.news = asyncio.Event()

    def post(self, body: Any, **headers: str):
        return self.http.post(f"{self.address}/api/chat-stream", json=body, headers=headers)

    async def ask(self, body: Any, **headers: str) -> list[tuple[str, str, str]]:
        async with self.post(body, **headers) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            return events_in(await answer.read())

    async def commanded(self, kind: type, count: int = 1) -> None:
        """Wait until the engines were asked for this so often."""
        await self.until(
            lambda: sum(isinstance(one, kind) for engine in self.engines for one in engine.asked) >= count
        )

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something holds that follows from what engines are asked."""
        async with asyncio.timeout(20):
            while not true():
                self.news.clear()
                await self.news.wait()


def events_in(stream: bytes) -> list[tuple[str, str, str]]:
    """Return (id, event, data) of every event."""
    found = []
    for block in stream.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = {"id": "", "event": "", "data": []}
        for line in lines:
            name, _, value = line.partition(": ")
            fields["data"].append(value) if name == "data" else fields.update({name: value})
        if lines:
            found.append((fields["id"], fields["event"], "\n".join(fields["data"])))
    return found


def in_words(command: EngineCommand) -> Sequence[EngineEvent]:
    if not isinstance(command, Generate):
        return ()
    said = last_text(command)
    if said == "黙って":
        return ()
    if said == "長く":
        rid = command.response_id
        return tuple(TextDelta(response_id=rid, text="とても長い話です。") for _ in range(40))
    if said == "店は？":
        return calling(command, "list_locations")
    return answering(command, f"答え: {said[:40]}")


@asynccontextmanager
async def house(tmp_path: Path, **given: Any) -> AsyncIterator[House]:
    settings = at_home(tmp_path, **given)
    async with aiohttp.ClientSession() as http:
        desk = House("", http)

        def engine(agent: object) -> ScriptedEngine:
            desk.engines.append(Watched(desk.news))
            return desk.engines[-1]

        async with running(settings, HostAnswerer(settings, engine)) as server:
            desk.address = server.addresses[0]
            yield desk


async def test_plain_text_comes_in_pieces_and_ends_with_done(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        events = await desk.ask({"messages": [{"role": "user", "content": "元気？"}]})
    assert events[-1] == ("", "", "[DONE]")
    assert "".join(data for _, _, data in events[:-1]) == "答え: 元気？"
    assert all("\n" not in data for _, _, data in events)


async def test_typed_events_tell_tools_usage_and_the_end(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        events = await desk.ask({"prompt": "店は？", "agent": "rentacar", "events": "typed"})
    kinds = [kind for _, kind, _ in events]
    assert kinds[:2] == ["tool_call", "tool_result"]
    assert kinds[-3:] == ["usage", "finish", ""]
    assert "東京駅前店" in events[1][2]
    assert msgspec.json.decode(events[-2][2]) == {"type": "finish", "reason": "stop"}
    numbers = [int(number.rpartition(":")[2]) for number, _, _ in events[:-1]]
    assert numbers == list(range(1, len(events)))


async def test_a_named_conversation_remembers_and_takes_only_what_is_new(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        first = {"role": "user", "content": "一"}
        await desk.ask({"messages": [first], "conversation_id": "tab-1"})
        again = [first, {"role": "assistant", "content": "答え: 一"}, {"role": "user", "content": "二"}]
        await desk.ask({"messages": again, "conversation_id": "tab-1"})
        (engine,) = desk.engines
        last = [command for command in engine.asked if isinstance(command, Generate)][-1]
        roles = [getattr(item, "role", "") for item in last.history]
        assert roles == ["user", "assistant", "user"]
        await desk.ask({"prompt": "三"})
        assert len(desk.engines) == 2


async def test_a_client_that_leaves_stops_the_model_at_once(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        answer = await desk.post({"prompt": "黙って"})
        await desk.commanded(Generate)
        answer.close()
        await desk.commanded(Stop)


async def test_a_broken_typed_stream_is_taken_up_behind_the_last_event_with_one_request_to_the_model(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as desk:
        answer = await desk.post({"prompt": "黙って", "events": "typed", "resume": True})
        stream_id = answer.headers["x-stream-id"]
        await desk.commanded(Generate)
        (engine,) = desk.engines
        rid = next(command for command in engine.asked if isinstance(command, Generate)).response_id
        engine.say(TextDelta(response_id=rid, text="一"))
        async with asyncio.timeout(20):
            assert "一" in events_in(await answer.content.readuntil(b"\n\n"))[0][2]
        answer.close()
        engine.say(TextDelta(response_id=rid, text="二"), GenerationEnded(response_id=rid))
        where = f"{desk.address}/api/chat-stream/{stream_id}"
        async with desk.http.get(where, headers={"Last-Event-ID": f"{stream_id}:1"}) as rest:
            events = events_in(await rest.read())
        assert msgspec.json.decode(events[0][2]) == {"type": "text", "text": "二"}
        assert [kind for _, kind, _ in events] == ["text", "usage", "finish", ""]
        assert sum(isinstance(command, Generate) for command in engine.asked) == 1
        assert not any(isinstance(command, Stop) for command in engine.asked)


async def test_a_running_answer_can_be_stopped_by_its_id(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        answer = await desk.post({"prompt": "黙って", "events": "typed"})
        await desk.commanded(Generate)
        where = f"{desk.address}/api/streams/{answer.headers['x-stream-id']}"
        async with desk.http.delete(where) as stopped:
            assert stopped.status == 204
        events = events_in(await answer.read())
        assert msgspec.json.decode(events[-2][2])["reason"] == "cancelled"
        async with desk.http.delete(where) as gone:
            assert gone.status == 404


async def test_a_conversation_that_is_over_with_its_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        await desk.ask({"prompt": "元気？"})
        await desk.until(lambda: desk.engines[0].closed > 0)
        async with desk.http.get(f"{desk.address}/healthz") as health:
            assert (await health.json())["sessions"] == 0


async def test_no_more_conversations_than_the_house_holds_but_idle_ones_give_way(tmp_path: Path) -> None:
    async with house(tmp_path, max_sessions=1) as desk:
        await desk.ask({"prompt": "元気？", "conversation_id": "idle"})
        busy = await desk.post({"prompt": "黙って", "events": "typed"})
        await desk.commanded(Generate, 2)
        async with desk.post({"prompt": "次"}) as refused:
            assert refused.status == 503
            assert "KAIWA_MAX_SESSIONS" in (await refused.json())["error"]["message"]
            assert refused.headers["retry-after"]
        busy.close()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "b"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "b"}]}, "messages[0].role"),
        ({"prompt": "a", "conversation_id": "a b"}, "conversation_id"),
        ({"prompt": "a", "temperature": 2}, "temperature"),
        ({"prompt": "a", "events": "all"}, "events"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(tmp_path: Path, body: Any, param: str) -> None:
    async with house(tmp_path) as desk, desk.post(body) as refused:
        assert refused.status == 400
        assert (await refused.json())["error"]["param"] == param


async def test_the_house_s_key_is_asked_for(tmp_path: Path) -> None:
    async with house(tmp_path, api_key=KEY) as desk:
        async with desk.post({"prompt": "元気？"}) as refused:
            assert refused.status == 401
        assert await desk.ask({"prompt": "元気？"}, authorization=f"Bearer {KEY}")


async def test_a_parser_is_content_however_the_stream_is_cut(tmp_path: Path) -> None:
    async with house(tmp_path) as desk, desk.post({"prompt": "line\nends and  blanks"}) as answer:
        parser, told = EventStreamParser(), list[str]()
        async for piece in answer.content.iter_chunked(3):
            told += [data.decode() for data in parser.feed(piece)]
    assert "".join(told[:-1]) == "答え: line\nends and  blanks"


LIMITED = """
default = "small"
[policies.small]
tokens_per_minute = 100
requests_per_minute = 3
models = ["rentacar", "kaiwa-local"]
"""


async def test_a_limit_ends_a_running_answer_with_its_reason_and_refuses_the_next(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(LIMITED)
    async with house(tmp_path, policy=policy) as desk:
        events = await desk.ask({"prompt": "長く", "events": "typed"})
        assert [kind for _, kind, _ in events[-3:]] == ["error", "finish", ""]
        assert msgspec.json.decode(events[-3][2])["code"] == "rate_limit_exceeded"
        await desk.commanded(Stop)  # the model was still speaking


async def test_requests_are_counted_and_the_one_too_many_is_told_when_to_come_again(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(LIMITED)
    async with house(tmp_path, policy=policy) as desk:
        for _ in range(3):
            await desk.ask({"prompt": "元気？"})
        async with desk.post({"prompt": "元気？"}) as refused:
            assert refused.status == 429
            assert int(refused.headers["retry-after"]) > 0
        for nobody in ("weather", "nobody"):
            async with desk.post({"prompt": "元気？", "agent": nobody}) as unknown:
                assert unknown.status == 404
                assert (await unknown.json())["error"]["param"] == "agent"
