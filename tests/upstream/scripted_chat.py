"""A chat completions server on a real socket that plays a script and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HOLD = b"<hold>"  # stop talking until the client is gone
DROP = b"<drop>"  # break the connection off


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class ScriptedChat:
    """`pieces` are written one by one, exactly as they are cut."""

    pieces: Sequence[bytes] = ()
    status: int = 200
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.path_qs, dict(request.headers), json.loads(await request.read())))
        if self.status != 200:
            return web.Response(
                status=self.status, body=b"".join(self.pieces), content_type="application/json"
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in self.pieces:
            if piece == DROP:
                assert request.transport is not None
                request.transport.abort()
            elif piece == HOLD:
                await self._wait_until_the_client_leaves()
            else:
                await response.write(piece)
        return response

    async def _wait_until_the_client_leaves(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:  # the handler is cancelled when the connection is lost
            self.client_left.set()


@asynccontextmanager
async def serving(script: ScriptedChat) -> AsyncIterator[ScriptedChat]:
    app = web.Application()
    app.router.add_post("/{path:.*}", script.answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        script.url = f"http://127.0.0.1:{port}"
        yield script
    finally:
        await runner.cleanup()


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def delta(finish: str | None = None, **fields: object) -> bytes:
    return event({"id": "c1", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def call(index: int | None, *, id: str | None = None, name: str | None = None, arguments: str = "") -> bytes:
    piece: dict[str, object] = {"function": {"arguments": arguments} | ({"name": name} if name else {})}
    piece |= {} if index is None else {"index": index}
    piece |= {} if id is None else {"id": id, "type": "function"}
    return delta(tool_calls=[piece])


DONE = b"data: [DONE]\n\n"
USAGE = event({
    "choices": [],
    "usage": {"prompt_tokens": 20, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 16}},
})  # fmt: skip
