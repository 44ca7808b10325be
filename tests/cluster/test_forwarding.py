"""What another process holds is answered by it: a real house over a real Redis, and beside it a process that tells
what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures
from tests.server.running import at_home, running

from kaiwa.server.cluster.crossing import CONVERSATION, key_of
from kaiwa.server.cluster.directory import Holder, this_machine
from kaiwa.server.cluster.redis import RedisDirectory
from kaiwa.server.forwarding import FORWARDED

MARK = "zzzz"


@dataclass
class Other:
    """Another process of the house. It keeps what it was asked, and answers everything."""

    asked: list[tuple[str, str, dict[str, str], bytes]] = field(
        default_factory=list[tuple[str, str, dict[str, str], bytes]]
    )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            socket = web.WebSocketResponse(protocols=("realtime",))
            await socket.prepare(request)
            self.asked.append(
                (
                    request.method,
                    request.path_qs,
                    {name.lower(): value for name, value in request.headers.items()},
                    b"",
                )
            )
            async for message in socket:
                if message.data == "close":
                    await socket.close(code=4321, message=b"because")
                else:
                    await socket.send_str(f"echo {message.data}")
            return socket
        self.asked.append(
            (
                request.method,
                request.path_qs,
                {name.lower(): value for name, value in request.headers.items()},
                await request.read(),
            )
        )
        response = web.StreamResponse(status=202, headers={"x-said": "there"})
        await response.prepare(request)
        for piece in (b"one ", b"two"):
            await response.write(piece)
        return response


@asynccontextmanager
async def house_with(
    url: str, folder: Path, **given: Any
) -> AsyncIterator[tuple[str, Other, RedisDirectory]]:
    """Run a house and the other process; give the address of the house."""
    other = Other()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", other.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    directory = RedisDirectory(url, f"127.0.0.1:{runner.addresses[0][1]}", this_machine(), mark=MARK)
    try:
        async with directory.running(), running(at_home(folder, redis_url=url, **given)) as server:
            yield server.addresses[0], other, directory
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"/api/streams/str_{MARK}abcdefghij"),
        ("GET", f"/api/chat-stream/turn_{MARK}abcdefghij?last-event-id=3"),
        ("POST", f"/v1/realtime/calls/call_{MARK}abcdefgh/hangup"),
        ("POST", f"/client/negotiate?hub=chat&id={MARK}.token"),
        ("GET", f"/client/?hub=chat&id={MARK}.token"),
        ("GET", f"/api/pool?process={MARK}"),
    ],
)
async def test_a_request_for_what_another_process_made_is_answered_there(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
    method: str,
    path: str,
) -> None:
    async with house_with(redis_url, tmp_path) as (url, other, _), aiohttp.ClientSession(url) as client:
        body = b"the body" if method == "POST" else None
        async with client.request(method, path, data=body, headers={"authorization": "Bearer k"}) as answer:
            assert (answer.status, await answer.read()) == (202, b"one two")
            assert answer.headers["x-said"] == "there"

        [(asked, where, headers, sent)] = other.asked
        assert (asked, where, sent) == (method, path, body or b"")
        assert headers["authorization"] == "Bearer k" and headers[FORWARDED] == "1"


async def test_a_stream_that_is_read_on_is_read_where_it_is_written(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    async with house_with(redis_url, tmp_path) as (url, other, _), aiohttp.ClientSession(url) as client:
        last = {"last-event-id": f"str_{MARK}abcdefghij:7"}
        async with client.post("/v1/chat/completions", json={"model": "m"}, headers=last) as answer:
            assert answer.status == 202
        assert other.asked[0][3] == b'{"model": "m"}'


async def test_a_socket_goes_to_the_process_that_has_the_call_with_its_frames_and_its_close(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with house_with(redis_url, tmp_path) as (url, other, _), aiohttp.ClientSession(url) as client:
        where = f"/v1/realtime?call_id=call_{MARK}abcdefgh"
        async with client.ws_connect(where, protocols=("realtime",)) as socket:
            assert socket.protocol == "realtime"
            await socket.send_str("hello")
            assert (await socket.receive()).data == "echo hello"
            await socket.send_str("close")
            assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4321
        assert other.asked[0][1] == where


async def test_a_conversation_is_asked_where_it_is_held_until_its_holder_is_gone(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with (
        house_with(redis_url, tmp_path) as (url, other, directory),
        aiohttp.ClientSession(url) as client,
    ):
        await directory.claim(CONVERSATION, key_of("anybody", "x"))
        question = {"prompt": "hello", "conversation_id": "x"}
        async with client.post("/api/chat-stream", json=question) as answer:
            assert answer.status == 202
        assert b'"conversation_id":"x"' in other.asked[0][3]

        gone = Holder("yyyy", "127.0.0.1:1", this_machine())
        await directory.release(CONVERSATION, key_of("anybody", "x"))
        dead = RedisDirectory(redis_url, gone.address, gone.machine, mark=gone.process)
        await dead.claim(CONVERSATION, key_of("anybody", "x"))
        await dead.close()
        async with client.post("/api/chat-stream", json=question) as answer:
            assert answer.status == 200, "taken over, since its holder does not answer"
            assert b"data:" in await answer.read()
        assert len(other.asked) == 1


async def test_what_cannot_be_reached_is_named_with_a_way_out(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    async with house_with(redis_url, tmp_path) as (url, _, _), aiohttp.ClientSession(url) as client:
        far = RedisDirectory(redis_url, "127.0.0.1:1", "far-away net:[1]", mark="ffff")
        gone = RedisDirectory(redis_url, "127.0.0.1:1", this_machine(), mark="gggg")
        async with far.running(), gone.running():
            async with client.get("/api/chat-stream/turn_ffffabcdef") as answer:
                assert (answer.status, answer.headers["x-kaiwa-holder"]) == (409, "ffff@far-away")
                assert "KAIWA_PEER_HOST" in await answer.text()
            async with client.get("/api/chat-stream/turn_ggggabcdef") as answer:
                assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        async with client.get("/api/chat-stream/turn_hhhhabcdef") as answer:
            assert answer.status == 404, "nobody that lives made it"


async def test_what_was_passed_on_once_is_answered_here(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    async with house_with(redis_url, tmp_path) as (url, other, _), aiohttp.ClientSession(url) as client:
        async with client.get(f"/api/chat-stream/turn_{MARK}abc", headers={FORWARDED: "1"}) as answer:
            assert answer.status == 404
        assert other.asked == []


async def test_a_key_of_a_page_is_good_at_a_process_that_did_not_make_it(
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with (
        house_with(redis_url, tmp_path, api_key="the house") as (url, _, _),
        aiohttp.ClientSession(url) as client,
    ):
        headers = {"authorization": "Bearer the house"}
        async with client.post("/api/tokens", json={"scopes": ["chat"]}, headers=headers) as answer:
            token = (await answer.json())["token"]
        async with running(at_home(tmp_path, redis_url=redis_url, api_key="the house")) as second:
            for key, status in ((token, 404), ("ek_unknown", 401)):
                bearer = {"authorization": f"Bearer {key}"}
                where = f"{second.addresses[0]}/api/chat-stream/turn_none"
                async with client.get(where, headers=bearer) as answer:
                    assert answer.status == status


async def test_a_hub_that_moved_takes_tokens_of_any_process(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    async with house_with(redis_url, tmp_path) as (url, _, _), aiohttp.ClientSession(url) as client:
        async with client.post("/api/negotiate") as answer:
            token = (await answer.json())["accessToken"]
        async with asyncio.timeout(10), running(at_home(tmp_path, redis_url=redis_url)) as second:
            where = f"{second.addresses[0]}/client/negotiate?hub=chat&negotiateVersion=1"
            async with client.post(where, headers={"authorization": f"Bearer {token}"}) as answer:
                # Tokens name the address they were made for, so only that may differ.
                assert answer.status == 200, await answer.text()
