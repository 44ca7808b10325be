"""A chat service for whole houses: it says numbered words at a pace, and books a car when it is asked to.

`book 7` and `yes 7` become calls of `create_reservation` for the seventh customer, whose car and day no other
customer wants; whatever else is asked is answered with WORDS words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

WORDS = 40
PACE_S = 0.02
EVERY_WORD = [f"w{number}" for number in range(WORDS)]


@asynccontextmanager
async def chat_service() -> AsyncIterator[str]:
    """Serve until the block is left; give the base URL."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def customer(number: int) -> str:
    return f"Customer {number}"


async def _answer(request: web.Request) -> web.StreamResponse:
    messages = (await request.json())["messages"]
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    try:
        async for delta in _deltas(messages[-1]):
            await response.write(_event({"delta": delta}))
        await response.write(_event({"delta": {}, "finish_reason": "stop"}) + b"data: [DONE]\n\n")
    except ConnectionError:
        pass  # the relay left
    return response


async def _deltas(last: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    said = str(last["content"])
    act, _, number = said.partition(" ")
    if last["role"] == "user" and act in ("book", "yes"):
        function = {"name": "create_reservation", "arguments": json.dumps(_booking(int(number)))}
        yield {
            "tool_calls": [
                {"index": 0, "id": f"call_{act}{number}", "type": "function", "function": function}
            ]
        }
        return
    words = [f"told: {said}"] if last["role"] == "tool" else [f"{word} " for word in EVERY_WORD]
    for word in words:
        yield {"content": word}
        await asyncio.sleep(PACE_S)


def _booking(number: int) -> dict[str, str]:
    """One of three shops, and a day of its own there."""
    day = datetime.now(UTC).date() + timedelta(days=2 + number // 3)
    return {
        "locationId": f"loc{number % 3 + 1}",
        "vehicleType": "コンパクト",
        "customerName": customer(number),
        "startDate": f"{day}T10:00:00",
        "endDate": f"{day}T18:00:00",
    }


def _event(choice: dict[str, Any]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, **choice}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
