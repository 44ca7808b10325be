"""`GET /api/status` of a house of several processes: a real one over a real Redis, and others that tell of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures
from tests.server.running import at_home, running

from kaiwa.server.cluster.directory import this_machine
from kaiwa.server.cluster.redis import RedisDirectory
from kaiwa.server.forwarding import FORWARDED
from kaiwa.server.ids import MARK
from kaiwa.server.status.answer import (
    Cost,
    ErrorState,
    FinishedTool,
    HubState,
    LatencyState,
    MessagesCost,
    ModelCost,
    RelayState,
    Sessions,
    SessionState,
    StatusAnswer,
    Tools,
)

KEY = "of-the-house"


def told_by(mark: str) -> StatusAnswer:
    """What a process tells that holds two conversations."""
    session = SessionState(
        id=f"sess_{mark}1", door="text", agent="weather", model="weather", age_s=1.5, doing="listening",
        turns=1, responses=1, tools=0, input_tokens=3, output_tokens=4, waited_ms=20.0, process=mark,
    )  # fmt: skip
    tool = FinishedTool(
        name="get_weather", completed=3, failed=1, cancelled=0, p50_ms=5.0, p95_ms=9.0, newest_ms=[5.0, 9.0]
    )
    return StatusAnswer(
        process=mark,
        machine="there",
        worker=1,
        version="0.1.0",
        uptime_s=90_000.0,
        not_ready="draining",
        sessions=Sessions(open=2, most=64, doors={"text": 2}, shown=[session]),
        latencies=[
            LatencyState(step="answer", count=300, p50_ms=2.0, p95_ms=4.0, newest_ms=[1.0, 2.0, 3.0, 4.0])
        ],
        tools=Tools(running=1, shown=[], finished=[tool]),
        hubs=[HubState(name="tokens", connections=7, groups=1, called=1, sent=9, too_slow=0)],
        relay=RelayState(running=5, ended={"completed": 8}, deployments=[], trouble=None),
        cost=Cost(
            currency=None,
            total=1.25,
            models=[ModelCost(model="gpt-4o", input_tokens=10, output_tokens=20, cost=1.0)],
            signalr_messages=MessagesCost(count=5, cost=0.25),
        ),
        limits=[],
        errors=[ErrorState(code="overloaded", where="east", count=2, ago_s=3.0)],
        traces=None,
    )


class Peer:
    """Another process: keeps what it was asked with, and says the same each time."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.body, self.status = body, status
        self.keys: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        assert request.path == "/api/status" and request.headers[FORWARDED] == "1"
        self.keys.append(request.headers.get("authorization", ""))
        return web.Response(body=self.body, status=self.status)


@asynccontextmanager
async def listening(peer: Peer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", peer.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_one_answer_tells_of_every_process_and_names_those_that_it_cannot_hear(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    well = Peer(msgspec.json.encode(told_by("bbbb")))
    refusing, newer = Peer(b"", 401), Peer(b'{"version": 7}')
    async with AsyncExitStack() as stack:

        async def joined(mark: str, address: str, machine: str, lease_s: float = 10.0) -> RedisDirectory:
            directory = RedisDirectory(redis_url, address, machine, mark=mark, lease_s=lease_s)
            return await stack.enter_async_context(directory.running())

        here = this_machine()
        for mark, peer in (("bbbb", well), ("cccc", refusing), ("dddd", newer)):
            await joined(mark, await stack.enter_async_context(listening(peer)), here)
        await joined("eeee", "127.0.0.1:1", here)
        await joined("ffff", "127.0.0.1:80", "elsewhere net:[1]")
        settings = at_home(tmp_path, redis_url=redis_url, api_key=KEY, max_sessions=10)
        server = await stack.enter_async_context(running(settings))
        client = aiohttp.ClientSession(server.addresses[0], headers={"authorization": f"Bearer {KEY}"})
        web_client = await stack.enter_async_context(client)

        async def status(query: str = "") -> dict[str, Any]:
            async with web_client.get(f"/api/status{query}") as answer:
                assert answer.status == 200
                return await answer.json()

        told = await status()
        states = {one["process"]: one["state"] for one in told["processes"]}
        assert states == {
            MARK: "answered",
            "bbbb": "answered",
            "cccc": "refused",
            "dddd": "other_version",
            "eeee": "silent",
            "ffff": "out_of_reach",
        }
        assert told["processes"][0]["process"] == told["process"] == MARK
        (there,) = [one for one in told["processes"] if one["process"] == "bbbb"]
        assert (there["worker"], there["sessions"], there["streams"], there["errors"]) == (1, 2, 5, 2)
        assert well.keys == [f"Bearer {KEY}"], "the other one judges by the same key"

        sessions = told["sessions"]
        assert (sessions["open"], sessions["most"], sessions["doors"]) == (2, 74, {"text": 2})
        assert [one["process"] for one in sessions["shown"]] == ["bbbb"]
        answer = {one["step"]: one for one in told["latencies"]}["answer"]
        assert (answer["count"], answer["p50_ms"], answer["p95_ms"]) == (300, 3.0, 4.0)
        assert (told["tools"]["running"], told["tools"]["finished"][0]["completed"]) == (1, 3)
        assert (told["hubs"][-1]["connections"], told["relay"]["running"]) == (7, 5)
        assert (told["cost"]["total"], told["errors"][0]["count"]) == (1.25, 2)
        assert told["cost"]["signalr_messages"] == {"count": 5, "cost": 0.25}
        assert (told["not_ready"], told["uptime_s"]) == (None, 90_000.0), "one of them is ready"

        alone = await status(f"?process={MARK}")
        assert (alone["sessions"]["open"], alone["processes"]) == (0, [])
        assert (await status("?process=bbbb"))["sessions"]["open"] == 2
        async with web_client.get("/api/status?process=gggg") as unknown:
            assert unknown.status == 404


async def test_a_process_that_died_without_a_word_is_told_of_as_lost_and_one_that_ended_is_not(
    redis_url: str,  # noqa: F811
) -> None:
    never, lease_s = 3600.0, 0.05
    here, silent, third = (
        RedisDirectory(redis_url, "127.0.0.1:1", "here", mark=mark, lease_s=lease_s, prefix="of-this-test")
        for mark, lease_s in (("aaaa", lease_s), ("bbbb", never), ("cccc", never))
    )
    async with silent.running():  # it says once that it is there
        async with third.running():
            pass
        async with asyncio.timeout(10):
            while not (seen := await here.seen())[-1].lost:  # noqa: ASYNC110 time passes in Redis
                await asyncio.sleep(0.02)
        assert [(one.holder.process, one.lost) for one in seen] == [("aaaa", False), ("bbbb", True)]
    await here.close()
