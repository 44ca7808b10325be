"""Bounds on what strangers may take, and how a full server says so. SECURITY.md lists them all with their tests."""

from __future__ import annotations

import asyncio
import json
import re
from io import BytesIO
from pathlib import Path

import aiohttp
from tests.docs.pages import ROOT
from tests.server.paper_media import OFFER, PaperMedia
from tests.server.running import at_home, running

SDP = {"content-type": "application/sdp"}


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


async def test_a_connection_too_many_is_told_when_to_come_again_and_the_others_go_on(tmp_path: Path) -> None:
    async with running(at_home(tmp_path, max_connections=2)) as server:
        where = ("127.0.0.1", int(server.addresses[0].rpartition(":")[2]))
        silent = [await asyncio.open_connection(*where) for _ in range(2)]
        reader, writer = await asyncio.open_connection(*where)
        head, _, body = (await read_all(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in head
        assert json.loads(body)["error"]["code"] == "server_busy"
        writer.close()
        (first, other), (_, still_there) = silent
        other.write(b"GET /healthz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        assert (await read_all(first)).startswith(b"HTTP/1.1 200 ")
        async with aiohttp.ClientSession() as web, web.get(server.addresses[0] + "/healthz") as answer:
            assert answer.status == 200, "one has left, so there is room again"
        still_there.close()
        other.close()


async def test_a_call_too_many_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with (
        running(at_home(tmp_path, max_sessions=1), media=PaperMedia()) as server,
        aiohttp.ClientSession(server.addresses[0]) as web,
        web.ws_connect("/v1/realtime?model=gpt-realtime") as first,
    ):
        await first.receive()
        async with web.post("/v1/realtime/calls?model=gpt-realtime", data=OFFER, headers=SDP) as refused:
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            assert (await refused.json())["error"]["code"] == "rate_limit_exceeded"


async def test_a_body_beyond_its_bound_is_not_kept(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server, aiohttp.ClientSession(server.addresses[0]) as web:
        for path in ("/api/chat-stream", "/api/broadcast", "/api/functions/list_locations"):
            async with web.post(path, data=BytesIO(b" " * 1_100_000)) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (
                    413,
                    "request_too_large",
                ), path


def test_every_bound_that_is_promised_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(named) > 15
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{path}::{test}"
