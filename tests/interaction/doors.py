"""Every door, by name, and how a client comes in through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Protocol

from tests.interaction.houses import House
from tests.interaction.peers import Peer
from tests.interaction.realtime_peer import hearing
from tests.interaction.text_peers import hub, streams
from tests.interaction.wires import Wire, call_wire, memory_wire, socket_wire

from kaiwa.protocol.realtime.dialects import Dialect


class Door(Protocol):
    def __call__(self, house: House, *, returning: bool = False) -> AbstractAsyncContextManager[Peer]:
        """Let a peer into a house; `returning`: one that wants to be able to come back."""
        ...


@asynccontextmanager
async def websocket(
    house: House, *, path: str, query: dict[str, str], dialect: Dialect, returning: bool = False
) -> AsyncIterator[Peer]:
    wish = query | ({"resume": "on"} if returning else {})
    async with AsyncExitStack() as wires:

        async def redial(token: str, last_event_id: str) -> Wire:
            back = query | {"resume": token, "last_event_id": last_event_id}
            return await wires.enter_async_context(socket_wire(house.address, path, back))

        wire = await wires.enter_async_context(socket_wire(house.address, path, wish))
        async with hearing(wire, dialect, redial) as peer:
            yield peer


@asynccontextmanager
async def webrtc(house: House, *, returning: bool = False) -> AsyncIterator[Peer]:
    """A call; whoever lost it comes back by a WebSocket."""
    wish = {"model": "gpt-realtime"} | ({"resume": "on"} if returning else {})
    async with AsyncExitStack() as wires:

        async def redial(token: str, last_event_id: str) -> Wire:
            back = {"resume": token, "last_event_id": last_event_id}
            return await wires.enter_async_context(socket_wire(house.address, "/v1/realtime", back))

        wire = await wires.enter_async_context(call_wire(house.address, wish))
        async with hearing(wire, "ga", redial) as peer:
            yield peer


@asynccontextmanager
async def memory(house: House, *, returning: bool = False) -> AsyncIterator[Peer]:
    assert not returning, "nothing lies between that could break"

    async def redial(token: str, last_event_id: str) -> Wire:
        raise AssertionError(f"nobody left: {token} {last_event_id}")

    async with memory_wire(house, "ga") as wire, hearing(wire, "ga", redial) as peer:
        yield peer


_MODEL = {"model": "gpt-realtime"}
_PREVIEW = {"api-version": "2025-04-01-preview", "deployment": "gpt-realtime"}
DOORS: dict[str, Door] = {
    "memory": memory,
    "websocket": partial(websocket, path="/v1/realtime", query=_MODEL, dialect="ga"),
    "azure": partial(websocket, path="/openai/v1/realtime", query=_MODEL, dialect="ga"),
    "preview": partial(websocket, path="/openai/realtime", query=_PREVIEW, dialect="preview"),
    "webrtc": webrtc,
    "sse-typed": partial(streams, typed=True),
    "sse-plain": partial(streams, typed=False),
    "signalr-json": partial(hub, protocol="json"),
    "signalr-messagepack": partial(hub, protocol="messagepack"),
}
EVERY_DAY = ("memory", "websocket", "preview", "sse-typed", "signalr-messagepack")
"""Those of `make test`. The others are another's twin, or take a second for a call: `make test-clients` has them."""
VOICES = ("memory", "websocket", "azure", "preview", "webrtc")
TEXTS = ("sse-typed", "sse-plain", "signalr-json", "signalr-messagepack")
