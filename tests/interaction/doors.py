"""Every door, by name, and how a client comes in through it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import aiohttp
from tests.interaction.peers import Peer, soon
from tests.interaction.realtime_peer import RealtimePeer, hearing
from tests.interaction.text_peers import hub, streams
from tests.transports.webrtc.aiortc_peer import aiortc_peer
from websockets.asyncio.client import connect

from kaiwa.protocol.realtime.dialects import Dialect

Door = Callable[[str], AbstractAsyncContextManager[Peer]]
"""Given the address of a house, let a peer in."""


@asynccontextmanager
async def websocket(address: str, *, path: str, dialect: Dialect) -> AsyncIterator[Peer]:
    url = address.replace("http", "ws") + path
    async with connect(url, compression=None, max_size=None, proxy=None) as socket:

        async def frames() -> AsyncIterator[str]:
            async for frame in socket:
                yield str(frame)

        async with hearing(RealtimePeer(socket.send, dialect), frames()) as peer:
            yield peer


@asynccontextmanager
async def webrtc(address: str) -> AsyncIterator[Peer]:
    async with aiortc_peer() as caller, aiohttp.ClientSession(address) as http:
        offer, sdp = await caller.offer(), {"content-type": "application/sdp"}
        async with http.post("/v1/realtime/calls?model=gpt-realtime", data=offer, headers=sdp) as answer:
            assert answer.status == 201, await answer.text()
            await caller.accept(await answer.text())
        await soon(caller.opened.wait(), "the data channel opens")

        async def say(text: str) -> None:
            assert caller.channel is not None, "it was asked for"
            caller.channel.send(text)

        async def frames() -> AsyncIterator[str]:
            while True:
                frame = await caller.frames.get()
                # What plays the sound tells of it by events that only calls have.
                if not json.loads(frame)["type"].startswith("output_audio_buffer."):
                    yield frame

        async with hearing(RealtimePeer(say, "ga", caller.tone), frames()) as peer:
            yield peer


EVERY_DAY = ("websocket", "preview", "sse-typed", "signalr-messagepack")
"""Those of `make test`. The others are another's twin, or take a second for a call: `make test-clients` has them."""
VOICES = ("websocket", "preview", "webrtc")
"""Those that carry sound; `azure` is the first under another name."""
_PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"
DOORS: dict[str, Door] = {
    "websocket": partial(websocket, path="/v1/realtime?model=gpt-realtime", dialect="ga"),
    "azure": partial(websocket, path="/openai/v1/realtime?model=gpt-realtime", dialect="ga"),
    "preview": partial(websocket, path=_PREVIEW, dialect="preview"),
    "webrtc": webrtc,
    "sse-typed": partial(streams, typed=True),
    "sse-plain": partial(streams, typed=False),
    "signalr-json": partial(hub, protocol="json"),
    "signalr-messagepack": partial(hub, protocol="messagepack"),
}
