"""A server that gives back what it hears, by WebRTC as kaiwa carries calls and by a raw WebSocket; its page.

`python -m bench.browser_echo PORT`. Knows no conversation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from bench.webrtc_houses import KaiwaHouse

CONSOLE = Path(__file__).parents[1] / "src/kaiwa/server/static/console"


@asynccontextmanager
async def _carrying(app: Starlette) -> AsyncGenerator[None]:
    app.state.house = await KaiwaHouse.start(b"", echo=True)
    yield
    await app.state.house.close()


async def _page(request: Request) -> Response:
    return HTMLResponse("<!doctype html><title>echo</title>")


async def _call(request: Request) -> Response:
    offer = (await request.body()).decode()
    return Response(await request.app.state.house.answer(offer), media_type="application/sdp")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    async for frame in socket.iter_text():
        audio = json.loads(frame)["audio"]
        await socket.send_text(json.dumps({"type": "response.output_audio.delta", "delta": audio}))


app = Starlette(
    routes=[
        Route("/", _page),
        Route("/calls", _call, methods=["POST"]),
        WebSocketRoute("/socket", _socket),
        Mount("/console", StaticFiles(directory=CONSOLE)),
    ],
    lifespan=_carrying,
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
