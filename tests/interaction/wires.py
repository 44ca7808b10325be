"""What frames of the Realtime API go over: a WebSocket, a call, or nothing but the memory of this process.

A wire can be cut without a goodbye, and whoever had a token may dial again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import numpy as np
from tests.interaction.agent import agent
from tests.interaction.houses import House
from tests.interaction.peers import soon
from tests.transports.webrtc.aiortc_peer import AiortcPeer, aiortc_peer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.events.config import SessionConfig
from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.runner import converse
from kaiwa.server.conversations import Admitted
from kaiwa.server.ids import new_id
from kaiwa.transports.memory import MemoryTransport

_TOKEN = "x-kaiwa-resume"
_AUDIBLE = 100


class Wire(Protocol):
    token: str
    """The secret to come back with; empty where none was asked for."""

    async def say(self, frame: str) -> None: ...

    def frames(self) -> AsyncIterator[str]:
        """Yield what comes, to the end of the wire."""
        ...

    async def speak(self, pcm: bytes) -> bool:
        """Put mono PCM16 at 24 kHz into the microphone; False: the wire has none, sound goes in frames."""
        ...

    async def sounds(self) -> None:
        """Wait until something is heard past the frames."""
        ...

    def cut(self) -> None: ...


class SocketWire:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        assert socket.response is not None, "the upgrade was answered"
        self.token = socket.response.headers.get(_TOKEN, "")

    async def say(self, frame: str) -> None:
        await self._socket.send(frame)

    async def frames(self) -> AsyncIterator[str]:
        try:
            async for frame in self._socket:
                yield str(frame)
        except ConnectionClosed:
            return

    async def speak(self, pcm: bytes) -> bool:
        del pcm
        return False

    async def sounds(self) -> None:
        raise AssertionError("all sound comes in frames here")

    def cut(self) -> None:
        self._socket.transport.abort()


@asynccontextmanager
async def socket_wire(address: str, path: str, query: dict[str, str]) -> AsyncIterator[SocketWire]:
    url = f"{address.replace('http', 'ws')}{path}?{urlencode(query)}"
    async with connect(url, compression=None, max_size=None, max_queue=None, proxy=None) as socket:
        yield SocketWire(socket)


class CallWire:
    def __init__(self, caller: AiortcPeer, token: str) -> None:
        self._caller = caller
        self._cut = asyncio.Event()
        self.token = token

    async def say(self, frame: str) -> None:
        assert self._caller.channel is not None, "it was asked for"
        self._caller.channel.send(frame)

    async def frames(self) -> AsyncIterator[str]:
        while not self._cut.is_set():
            coming = asyncio.ensure_future(self._caller.frames.get())
            over = asyncio.ensure_future(self._caller.closed.wait())
            try:
                await asyncio.wait([coming, over], return_when=asyncio.FIRST_COMPLETED)
            finally:
                over.cancel()
                coming.cancel()
            if not coming.done():
                return
            yield coming.result()

    async def speak(self, pcm: bytes) -> bool:
        await self._caller.tone.say(np.repeat(np.frombuffer(pcm, np.int16), 2))
        return True

    async def sounds(self) -> None:
        while not np.any(np.abs(await self._caller.hears(4_800)) > _AUDIBLE):
            pass

    def cut(self) -> None:
        self._cut.set()


@asynccontextmanager
async def call_wire(address: str, query: dict[str, str]) -> AsyncIterator[CallWire]:
    async with aiortc_peer() as caller, aiohttp.ClientSession(address) as http:
        offer, sdp = await caller.offer(), {"content-type": "application/sdp"}
        async with http.post(f"/v1/realtime/calls?{urlencode(query)}", data=offer, headers=sdp) as answer:
            assert answer.status == 201, await answer.text()
            await caller.accept(await answer.text())
        await soon(caller.opened.wait(), "the data channel opens")
        yield CallWire(caller, answer.headers.get(_TOKEN, ""))


class MemoryWire:
    """Frames are read and written by the conversation's own codec, and there is nothing between."""

    token = ""

    def __init__(self, transport: MemoryTransport, codec: Any) -> None:
        self._transport = transport
        self._codec = codec

    async def say(self, frame: str) -> None:
        await self._transport.say(self._codec.decode_client(frame))

    async def frames(self) -> AsyncIterator[str]:
        while True:
            yield self._codec.encode_server(await self._transport.hear())

    async def speak(self, pcm: bytes) -> bool:
        del pcm
        return False

    async def sounds(self) -> None:
        raise AssertionError("all sound comes in frames here")

    def cut(self) -> None:
        raise AssertionError("nothing lies between that could break")


@asynccontextmanager
async def memory_wire(house: House, dialect: Dialect) -> AsyncIterator[MemoryWire]:
    config = SessionConfig(id=new_id("sess"), model=agent.name, instructions=agent.instructions)
    parts = await house.answerer.open(Admitted(agent, dialect, config))
    transport = MemoryTransport()
    async with asyncio.TaskGroup() as group:
        group.create_task(
            converse(parts.session, transport, parts.engine, parts.tools, servers=parts.servers)
        )
        yield MemoryWire(transport, parts.codec_for(dialect))
        await transport.leave()
