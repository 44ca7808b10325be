"""A body that comes in pieces is read whole, and a flood is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from kaiwa.upstream.bodies import bounded_body

PIECES = (b'{"value":', b'"ek_', b"x" * 1000, b'"}')


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in PIECES:
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.mark.parametrize("most_bytes", [10_000, 20])
async def test_pieces_are_joined_up_to_the_bound(url: str, most_bytes: int) -> None:
    async with asyncio.timeout(10), aiohttp.ClientSession() as http, http.get(url) as response:
        assert await bounded_body(response, most_bytes) == b"".join(PIECES)[:most_bytes]
