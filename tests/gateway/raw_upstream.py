"""A service made of raw sockets: answers byte by byte as a script says, cut wherever a test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Step = bytes | asyncio.Event | str  # bytes to send; an event to wait for; "cut" or "close"
CUT, CLOSE = "cut", "close"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def sized(body: bytes, status: str = "200 OK", *lines: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", "content-type: application/json", *lines))
    return head.encode() + b"\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@dataclass
class Asked:
    """One request as it came. `gone` is set when its connection ended before the script did."""

    head: bytes
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def first_line(self) -> str:
        return self.head.split(b"\r\n")[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


class RawUpstream:
    """Answers the n-th request by the n-th script; the last one serves for all that follow."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts = list(scripts)
        self.asked: list[Asked] = []
        self.connections = 0
        self.came = asyncio.Condition()
        self.left = asyncio.Event()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def request(self, number: int = 0) -> Asked:
        """Return the request with this number, when it has come."""
        async with asyncio.timeout(20), self.came:
            await self.came.wait_for(lambda: len(self.asked) > number)
        return self.asked[number]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.left.set()
            self._tasks.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        asked = Asked(head, b"")
        asked.body = await reader.readexactly(int(asked.headers.get("content-length", "0")))
        script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
        async with self.came:
            self.asked.append(asked)
            self.came.notify_all()
        watcher = asyncio.create_task(self._watch(reader, asked))
        try:
            return await self._play(script, asked, writer)
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])

    async def _watch(self, reader: asyncio.StreamReader, asked: Asked) -> None:
        try:
            while not reader.at_eof() and reader.exception() is None:
                # Looks without taking: the next request on this connection is not this task's.
                await reader._wait_for_data("watch") if not reader._buffer else await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        asked.gone.set()

    async def _play(self, script: Sequence[Step], asked: Asked, writer: asyncio.StreamWriter) -> bool:
        for step in script:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, asyncio.Event):
                waits = [asyncio.create_task(step.wait()), asyncio.create_task(asked.gone.wait())]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                    await asyncio.wait(waits)
                if asked.gone.is_set():
                    return False
            else:
                if step == CUT:
                    writer.transport.abort()
                return False
        return True

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


@asynccontextmanager
async def raw_upstream(
    *scripts: Sequence[Step], tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawUpstream]:
    upstream = RawUpstream(*scripts)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        await upstream.close()
        await asyncio.sleep(0)  # transports close in the next turn of the loop
