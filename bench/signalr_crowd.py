"""Many clients in one process that read bytes and count; told by lines of JSON what to do.

Each speaks just enough WebSocket to be let in, as SignalR's JSON protocol or as socket.io; after that it
looks for the mark in every message and takes nothing apart, so that it is cheaper than any server that
feeds it. One of them may talk too: it calls the server's `broadcast`, back to back. A few are witnesses then,
who keep what they read, so that it can be told whether all came in order.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from bench.figures import quantile

MARK: Final = b'^"'
"""One byte of it alone may also be the length of a frame."""
BEFORE_MOMENT: Final = b'^",'
NUMBERS: Final = re.compile(rb'"conversation-1",(\d+),')
AT_ONCE: Final = 50
"""How many connect at the same time."""
FIRST_NUMBER: Final = 1000
WITNESSES: Final = 50
"""One in so many."""


def _masked(text: str) -> bytes:
    """A client's frame, masked with zeros."""
    payload = text.encode()
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


@dataclass(frozen=True)
class Dialect:
    path: str
    speaks_first: bool
    hello: bytes
    welcome: bytes
    """What of the server's words means that the client is in."""
    call: str
    """Calls `broadcast` with the arguments put in; nobody answers."""

    def calling(self, number: int) -> bytes:
        arguments = f'"conversation-1",{number},"token ^",{time.monotonic_ns()}'
        return _masked(self.call % arguments)


DIALECTS: Final = {
    "signalr": Dialect(
        "/hub",
        True,
        _masked('{"protocol":"json","version":1}\x1e'),
        b"{}\x1e",
        '{"type":1,"target":"broadcast","arguments":[%s]}\x1e',
    ),
    "socketio": Dialect(
        "/socket.io/?EIO=4&transport=websocket", False, _masked("40"), b'40{"sid"', '42["broadcast",%s]'
    ),
}
_SOCKETIO_PING: Final = b"\x81\x012"
_SOCKETIO_PONG: Final = _masked("3")


class Member(asyncio.Protocol):
    """One client. `count` is how many messages it has read."""

    def __init__(self, dialect: Dialect, crowd: Crowd) -> None:
        self._dialect = dialect
        self._crowd = crowd
        self._opening = b""
        self._greeted = False
        self._last = 0
        self.inside = asyncio.get_running_loop().create_future()
        self.count = 0
        self.witnessed: bytearray | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(
            f"GET {self._dialect.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        marks = data.count(MARK) + (self._last == MARK[0] and data[0] == MARK[1])
        self._last = data[-1]
        if self.witnessed is not None:
            self.witnessed += data
        if marks:
            self.count += marks
            self._crowd.took(marks)
            if self._crowd.timing:
                self._crowd.arrived(data)
        elif not self.inside.done():
            self._come_in(data)
        elif data == _SOCKETIO_PING:
            self.transport.write(_SOCKETIO_PONG)

    def _come_in(self, data: bytes) -> None:
        self._opening += data
        head, end, rest = self._opening.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101"):
            self.inside.set_exception(ConnectionError(head.decode(errors="replace")))
        elif not self._greeted and (self._dialect.speaks_first or rest):
            self._greeted = True
            self.transport.write(self._dialect.hello)
        if self._dialect.welcome in rest and not self.inside.done():
            self.inside.set_result(None)

    def talk(self, numbers: range) -> None:
        self.transport.write(b"".join(map(self._dialect.calling, numbers)))

    def in_order(self) -> bool:
        """Return whether a witness has read every number once and in order."""
        numbers = [int(number) for number in NUMBERS.findall(self.witnessed or b"")]
        return numbers == list(range(FIRST_NUMBER, FIRST_NUMBER + len(numbers)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.lost += 1


class Crowd:
    def __init__(self) -> None:
        self.members: list[Member] = []
        self.total = self.lost = 0
        self.timing = False
        self._wanted = 0
        self._enough = asyncio.Event()
        self._waits_ns: list[int] = []
        self._said = self._to_say = self._window = 0
        self._next_words_at: float = math.inf

    def took(self, marks: int) -> None:
        self.total += marks
        if self.total >= self._next_words_at:
            self._talk_on()
        if self.total >= self._wanted:
            self._enough.set()

    def arrived(self, data: bytes) -> None:
        """Note how long ago the newest message of these bytes was due; one that is cut is not asked."""
        at = data.rfind(BEFORE_MOMENT) + len(BEFORE_MOMENT)
        end = data.find(b"]", at)
        if end > at >= len(BEFORE_MOMENT):
            self._waits_ns.append(time.monotonic_ns() - int(data[at:end]))

    async def connect(self, port: int, count: int, dialect: str) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        chosen = DIALECTS[dialect]
        for begin in range(0, count, AT_ONCE):
            fresh = [
                (await loop.create_connection(lambda: Member(chosen, self), "127.0.0.1", port))[1]
                for _ in range(min(AT_ONCE, count - begin))
            ]
            await asyncio.gather(*(member.inside for member in fresh))
            self.members += fresh
        return {"inside": len(self.members)}

    async def expect(self, each: int, timing: bool = False) -> dict[str, Any]:
        """Begin to count: this many messages for each, timed or not."""
        self.total, self._wanted, self.timing = 0, each * len(self.members), timing
        self._waits_ns = []
        self._enough.clear()
        for member in self.members:
            member.count = 0
        return {}

    async def talk(self, each: int, window: int) -> dict[str, Any]:
        """Have the first call `broadcast` so often, and expect that; `window` at the most are on their way.

        Half of them must have reached everybody before more are said.
        """
        await self.expect(each)
        for member in self.members[::WITNESSES]:
            member.witnessed = bytearray()
        self._said, self._to_say, self._window = 0, each, window
        self._talk_on()
        return {}

    def _talk_on(self) -> None:
        arrived = self.total // len(self.members)
        upto = min(self._to_say, arrived + self._window)
        self.members[0].talk(range(FIRST_NUMBER + self._said, FIRST_NUMBER + upto))
        self._said = upto
        over = upto == self._to_say
        self._next_words_at = math.inf if over else (upto - self._window // 2) * len(self.members)

    async def got(self, patience_s: float) -> dict[str, Any]:
        """Wait until all that is expected has come; tell what has."""
        try:
            async with asyncio.timeout(patience_s):
                await self._enough.wait()
        except TimeoutError:
            pass
        counts = [member.count for member in self.members]
        waits_ms = [wait / 1e6 for wait in self._waits_ns]
        told: dict[str, Any] = {
            "total": self.total,
            "least": min(counts),
            "most": max(counts),
            "lost": self.lost,
            "disordered": sum(not member.in_order() for member in self.members),
        }
        for member in self.members:
            member.witnessed = None
        if waits_ms:
            told |= {"p50_ms": quantile(waits_ms, 0.5), "p99_ms": quantile(waits_ms, 0.99)}
        return told

    async def leave(self) -> dict[str, Any]:
        for member in self.members:
            member.transport.abort()
        while self.lost < len(self.members):  # noqa: ASYNC110 - of this process's own sockets
            await asyncio.sleep(0.01)
        self.members, self.lost = [], 0
        return {}


async def main() -> None:
    crowd = Crowd()
    does: dict[str, Callable[..., Any]] = {
        "connect": crowd.connect,
        "expect": crowd.expect,
        "talk": crowd.talk,
        "got": crowd.got,
        "leave": crowd.leave,
    }
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    print(json.dumps({"ready": True}), flush=True)
    while line := await reader.readline():
        order = json.loads(line)
        print(json.dumps(await does[order.pop("do")](**order)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
