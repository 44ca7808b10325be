"""A connection that asks for nothing is let go: by its bytes, and by its seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.server.running import InThisLoop, at_home, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.server.handshake import MAX_HEAD_BYTES, BoundedHandshake

PATIENCE_S = 20
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


class Hasty(BoundedHandshake):
    head_s = 0.2


def make_hasty(server: InThisLoop) -> None:
    server.config.http_protocol_class = Hasty


def port_of(server: InThisLoop) -> int:
    return int(server.addresses[0].rpartition(":")[2])


@asynccontextmanager
async def talking(directory: Path) -> AsyncIterator[ClientConnection]:
    """Yield a peer whose session has begun."""
    async with running(at_home(directory)) as server, asyncio.timeout(PATIENCE_S):
        address = f"ws://127.0.0.1:{port_of(server)}/v1/realtime?model=gpt-realtime"
        async with connect(address) as peer:
            await peer.recv()
            yield peer


async def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(HEAD + b"X-More: " + b"z" * (MAX_HEAD_BYTES + 1))
        assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
        writer.close()


async def test_a_long_body_is_no_long_head(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        size = 4 * MAX_HEAD_BYTES
        writer.write(HEAD.replace(b"GET", b"POST") + b"Content-Length: %d\r\n\r\n" % size + bytes(size))
        assert (await reader.readline()).startswith(b"HTTP/1.1 405 ")
        writer.close()


async def test_a_head_that_does_not_come_is_not_awaited_for_ever(tmp_path: Path) -> None:
    async with running(at_home(tmp_path), change=make_hasty) as server, asyncio.timeout(PATIENCE_S):
        for begun in (b"", HEAD):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            writer.write(begun)
            assert await reader.read() == b""
            writer.close()


async def test_a_second_request_has_the_same_bounds_and_a_served_one_none(tmp_path: Path) -> None:
    async with running(at_home(tmp_path), change=make_hasty) as server, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        for _ in range(2):
            writer.write(HEAD + b"\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        writer.write(HEAD)
        assert await reader.read() == b""
        writer.close()


async def test_an_upgrade_with_a_header_that_is_too_long_is_refused(tmp_path: Path) -> None:
    upgrade = HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nX-Long: " + b"y" * 9000 + b"\r\n\r\n"
    async with running(at_home(tmp_path)) as server, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(upgrade)
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
        writer.close()


@pytest.mark.parametrize("pieces", [[b"\xff"], [b'{"type": "', b"\xe3\x81"]])
async def test_text_that_is_not_utf_8_costs_one_quiet_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pieces: list[bytes]
) -> None:
    caplog.set_level(logging.INFO)
    async with talking(tmp_path) as peer:
        await peer.send(pieces, text=True)
        with pytest.raises(ConnectionClosed):
            await peer.recv()
        assert peer.close_code == 1007
    told = [record for record in caplog.records if "UTF-8" in record.getMessage()]
    assert [(record.levelname, record.exc_info) for record in told] == [("INFO", None)]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_text_in_any_script_may_be_cut_anywhere(tmp_path: Path) -> None:
    whole = '{"type": "こんにちは"}'.encode()
    async with talking(tmp_path) as peer:
        await peer.send([whole[:12], whole[12:]], text=True)
        assert "こんにちは" in str(await peer.recv())
