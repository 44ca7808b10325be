"""A hub behind uvicorn in the event loop of a test, and a client of raw HTTP and WebSockets.

Every wait is bounded, and one that is not met is an assertion that failed.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn
from tests.hub.bending import Bend
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.hub import Backplane, Hub, HubException, HubOptions, HubWebSocket
from kaiwa.transports.parting import stop_accepting

T = TypeVar("T")
PATIENCE_S = 15.0
BROKEN_PATIENCE_S = 0.8
"""What a planted bend took away need not be waited for as long."""
HELLO = b'{"protocol":"json","version":1}\x1e'
HELLO_BACK = b"{}\x1e"


class Room(Hub):
    """The hub of these tests. `seen` is what its hooks were told."""

    def __init__(self, options: HubOptions, backplane: Backplane | None = None) -> None:
        super().__init__(options, backplane)
        self.seen: list[str] = []

    async def on_connected(self) -> None:
        self.seen.append("came")

    async def on_disconnected(self, error: HubException | None) -> None:
        self.seen.append(f"went: {error}" if error else "went")

    async def echo(self, text: str) -> str:
        return text

    async def me(self) -> str | None:
        return self.context.user_id

    async def leave(self) -> None:
        self.context.abort()


async def soon(awaited: Awaitable[T], why: str, patience_s: float = PATIENCE_S) -> T:
    try:
        async with asyncio.timeout(patience_s):
            return await awaited
    except TimeoutError:
        raise AssertionError(f"not within {patience_s} s: {why}") from None


async def until(condition: Any, why: str, patience_s: float = PATIENCE_S) -> None:
    async def met() -> None:
        while not condition():  # noqa: ASYNC110 - of parts that have no event to tell it
            await asyncio.sleep(0.01)

    await soon(met(), why, patience_s)


class _InThisLoop(uvicorn.Server):
    """Leaves signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()

    async def main_loop(self) -> None:
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await stop_accepting(self.servers)
        await super().shutdown(sockets)


@asynccontextmanager
async def serving(app: Any, ws: Any = HubWebSocket) -> AsyncIterator[int]:
    """Serve an application on a port of this loop until the block is left."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, ws=ws, log_level="error", ws_per_message_deflate=False)
    config.timeout_graceful_shutdown = 2
    server = _InThisLoop(config)
    running = asyncio.create_task(server._serve([listening]))
    try:
        await until(lambda: server.started, "the server starts")
        yield listening.getsockname()[1]
    finally:
        server.leave.set()
        await running
        listening.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class House:
    """One hub at /room, seen through what is planted."""

    def __init__(self, hub: Hub, port: int, bend: Bend) -> None:
        self.hub = hub
        self.port = port
        self.bend = bend

    async def ask(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        stream = await self.begin(method, target, headers, body)
        try:
            rest = await self._soon(stream.reader.read(), f"{method} {target} is answered")
        finally:
            stream.writer.close()
        return Answer(stream.status, stream.headers, self.bend.said(rest))

    async def _soon(self, awaited: Awaitable[T], why: str) -> T:
        return await soon(awaited, why, self.patience_s)

    async def until(self, condition: Any, why: str) -> None:
        await until(condition, why, self.patience_s)

    @property
    def patience_s(self) -> float:
        return PATIENCE_S if type(self.bend) is Bend else BROKEN_PATIENCE_S

    async def begin(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Stream:
        """Send a request and read the head of its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        fields = {"host": f"127.0.0.1:{self.port}", "connection": "close", **(headers or {})}
        fields.setdefault("content-length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"{method} /room{target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        try:
            raw = await self._soon(reader.readuntil(b"\r\n\r\n"), f"{method} {target} is answered")
        except BaseException:
            writer.close()
            raise
        first, *lines = raw.decode().splitlines()
        found = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        return Stream(int(first.split()[1]), found, reader, writer, self.bend)

    async def negotiated(self, query: str = "?negotiateVersion=1", **headers: str) -> str:
        """Return the token of a new connection."""
        answer = await self.ask("POST", f"/negotiate{query}", headers)
        assert answer.status == 200, answer
        return answer.json.get("connectionToken") or answer.json["connectionId"]

    @asynccontextmanager
    async def socket(self, query: str = "", **headers: str) -> AsyncIterator[Socket]:
        url = f"ws://127.0.0.1:{self.port}/room{query}"
        async with connect(url, additional_headers=headers, compression=None, close_timeout=1) as raw:
            yield Socket(raw, self.bend)


@dataclass
class Stream:
    """An answer whose body still comes."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    bend: Bend

    async def until(self, mark: bytes, patience_s: float = PATIENCE_S) -> bytes:
        """Return what was read, up to the mark. Chunks of the transfer are left in."""
        read = b""
        while mark not in read:
            piece = await soon(self.reader.read(4096), f"{mark!r}", patience_s)
            assert piece, f"the stream ended with {read!r}, before {mark!r}"
            read += self.bend.said(piece)
        return read


class Socket:
    """A WebSocket that reads hub messages."""

    def __init__(self, raw: ClientConnection, bend: Bend) -> None:
        self.raw = raw
        self._bend = bend
        self._records: list[bytes] = []

    async def frame(self) -> str | bytes:
        try:
            return await soon(self.raw.recv(), "the server says something")
        except ConnectionClosed:
            raise AssertionError("the socket closed instead") from None

    async def record(self) -> Any:
        """Return the next message that is no ping."""
        while True:
            while not self._records:
                frame = await self.frame()
                data = frame.encode() if isinstance(frame, str) else frame
                self._records += self._bend.said(data).split(b"\x1e")[:-1]
            message = json.loads(self._records.pop(0))
            if message != {"type": 6}:
                return message

    async def hello(self) -> Socket:
        await self.raw.send(HELLO.decode())
        assert await self.record() == {}
        return self

    async def send(self, **message: Any) -> None:
        await self.raw.send(json.dumps(message) + "\x1e")

    async def invoke(self, target: str, *arguments: Any, id: str = "1") -> Any:
        """Return the next message after an invocation."""
        await self.send(type=1, invocationId=id, target=target, arguments=list(arguments))
        return await self.record()

    async def close_code(self) -> int | None:
        """Return what the server closed with, once it has."""
        try:
            while True:
                await soon(self.raw.recv(), "the socket closes")
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None


def bent(app: Any, bend: Bend) -> Any:
    async def through(scope: Any, receive: Any, send: Any) -> None:
        async def answer(message: Any) -> None:
            if message["type"].endswith("response.start"):
                status = bend.status(message["status"])
                message = {**message, "status": status, "headers": bend.headers(list(message["headers"]))}
            await send(message)

        await app(bend.asked(scope), receive, answer)

    return through


@asynccontextmanager
async def open_house(bend: Bend, ws: Any = HubWebSocket, **options: Any) -> AsyncIterator[House]:
    hub = Room(bend.options(HubOptions(**options)))
    async with serving(bent(hub, bend), ws) as port, hub.running():
        yield House(hub, port, bend)
