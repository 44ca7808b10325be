"""A connection that asks for nothing is let go: by its bytes, and by its seconds."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.server.running import InThisLoop, at_home, running

from kaiwa.server.handshake import MAX_HEAD_BYTES, BoundedHandshake

PATIENCE_S = 5
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


class Hasty(BoundedHandshake):
    head_s = 0.2


def make_hasty(server: InThisLoop) -> None:
    server.config.http_protocol_class = Hasty


def port_of(server: InThisLoop) -> int:
    return int(server.addresses[0].rpartition(":")[2])


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
