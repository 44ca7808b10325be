"""Who asks the relays: raw asyncio protocols on uvloop, in a process of their own, and the relays' CPU time.

Each of these functions runs in a fresh process. Knows one address at a time; nothing of what answers there.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop

from bench.gateway_upstream import Wish

PATH: Final = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_CONTENT: Final = b'"content":"'
_END: Final = b"\r\n0\r\n\r\n"
MOST_FILES: Final = 16_000


@dataclass(frozen=True)
class Door:
    """Where a relay listens, the key it wants, and its processes' root."""

    port: int
    key: str
    pid: int


@dataclass(frozen=True)
class Carried:
    chunks: int
    cpu_s: float
    wall_s: float
    streams: int
    lost: int
    """Connections that the relay closed."""


@dataclass(frozen=True)
class Held:
    """Slow streams that ran at once, and the kB that each took."""

    streams: int
    kb: float


def question(door: Door, wish: Wish, *, usage: bool = False) -> bytes:
    body = {"model": "gpt-4o", "stream": True}
    if usage:
        body |= {"stream_options": {"include_usage": True}}
    message = {"role": "user", "content": msgspec.json.encode(wish).decode()}
    said = msgspec.json.encode(body | {"messages": [message]})
    return (
        f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{door.port}\r\napi-key: {door.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(said)}\r\n\r\n"
    ).encode() + said


# --- the processes of a relay --------------------------------------------------------------------------


def family(pid: int) -> list[int]:
    """Return a process and all that came from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in family(int(child)))]


@contextmanager
def on_cores_apart(relays: Iterable[int]) -> Generator[None]:
    """Keep relays to one core, and to the others all else that this process has begun; with one core nothing
    is kept anywhere."""
    cores = sorted(os.sched_getaffinity(0))
    ours = family(os.getpid())
    if len(cores) > 1:
        _keep_to(ours, cores[:-1])
        _keep_to([one for pid in relays for one in family(pid)], cores[-1:])
    try:
        yield
    finally:
        _keep_to(ours, cores)


def _keep_to(pids: Iterable[int], cores: Sequence[int]) -> None:
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread.name), cores)


def cpu_s(pid: int) -> float:
    ticks = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def resident_kb(pid: int) -> int:
    """Return what the processes hold, pages they share counted once (Pss)."""
    total = 0
    for one in family(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


# --- load ----------------------------------------------------------------------------------------------


class Reader(asyncio.Protocol):
    """Asks the same again and again on one connection, and counts what comes."""

    def __init__(self, asked: bytes, again: bool = True) -> None:
        self._asked, self._again = asked, again
        self._tail = b""
        self.chunks = self.streams = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._asked)

    def data_received(self, data: bytes) -> None:
        self.chunks += data.count(b"data: {")
        self._tail = self._tail[-8:] + data if len(data) < 8 else data
        if self._tail.endswith(_END):
            self.streams += 1
            self._tail = b""
            if self._again:
                self.transport.write(self._asked)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def _readers(door: Door, asked: bytes, count: int, again: bool = True) -> list[Reader]:
    loop, readers = asyncio.get_running_loop(), list[Reader]()
    for number in range(count):
        _, reader = await loop.create_connection(lambda: Reader(asked, again), "127.0.0.1", door.port)
        readers.append(reader)
        if number % 32 == 31:
            await asyncio.sleep(0.005)
    return readers


def carry(door: Door, streams: int, wish: Wish, warm_s: float, measured_s: float) -> Carried:
    """Keep so many streams running; count what comes, and what it costs the relay."""
    return uvloop.run(_carry(door, streams, wish, warm_s, measured_s))


async def _carry(door: Door, streams: int, wish: Wish, warm_s: float, measured_s: float) -> Carried:
    readers = await _readers(door, question(door, wish), streams)
    await _until(lambda: all(reader.chunks for reader in readers), 30)
    await asyncio.sleep(warm_s)
    before = sum(reader.chunks for reader in readers), sum(reader.streams for reader in readers)
    cpu_before, began = cpu_s(door.pid), time.monotonic()
    await asyncio.sleep(measured_s)
    spent, wall = cpu_s(door.pid) - cpu_before, time.monotonic() - began
    chunks = sum(reader.chunks for reader in readers) - before[0]
    whole = sum(reader.streams for reader in readers) - before[1]
    lost = sum(reader.lost for reader in readers)
    for reader in readers:
        reader.transport.abort()
    return Carried(chunks, spent, wall, whole, lost)


def hold(door: Door, streams: int, most_s: float) -> Held:
    """Hold so many slow streams at once: a chunk a second each."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))
    return uvloop.run(_hold(door, streams, most_s))


async def _hold(door: Door, streams: int, most_s: float) -> Held:
    quick = await _readers(door, question(door, Wish(chunks=20)), 20, again=False)
    await _until(lambda: all(reader.streams for reader in quick), 30)
    before = resident_kb(door.pid)
    readers = await _readers(door, question(door, Wish(chunks=2000, pace_ms=1000)), streams, again=False)
    await _until(lambda: all(reader.chunks >= 5 for reader in readers), most_s)
    held = sum(reader.chunks > 0 and not reader.lost for reader in readers)
    kb = (resident_kb(door.pid) - before) / max(held, 1)
    for reader in (*quick, *readers):
        reader.transport.abort()
    return Held(held, kb)


async def _until(reached: Callable[[], bool], most_s: float) -> None:
    """Wait for a condition, but not for ever: what is not reached then shows in the figures."""
    until = time.monotonic() + most_s
    while not reached() and time.monotonic() < until:  # noqa: ASYNC110 protocols count, nobody tells
        await asyncio.sleep(0.1)


# --- the first chunk -----------------------------------------------------------------------------------


class _Watch(asyncio.Protocol):
    """One question at a time, and the moment at which its first words came."""

    def __init__(self) -> None:
        self._seen, self._asked_at = b"", 0.0
        self.first_s: float | None = None
        self.over: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    async def ask(self, asked: bytes) -> float:
        self._seen, self.first_s = b"", None
        self.over = asyncio.get_running_loop().create_future()
        self._asked_at = time.perf_counter()
        self.transport.write(asked)
        async with asyncio.timeout(30):
            await self.over
        assert self.first_s is not None, "an answer has words"
        return self.first_s

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self.first_s is None and b'"content":" w' in self._seen:
            self.first_s = time.perf_counter() - self._asked_at
        if self._seen.endswith(_END) and self.over is not None and not self.over.done():
            self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.over is not None and not self.over.done():
            self.over.set_exception(ConnectionError("a relay closed the connection"))


def first_chunks(doors: dict[str, Door], rounds: int) -> dict[str, list[float]]:
    """Return the seconds to the first words, for each relay, asked in turns."""
    return uvloop.run(_first_chunks(doors, rounds))


async def _first_chunks(doors: dict[str, Door], rounds: int) -> dict[str, list[float]]:
    loop = asyncio.get_running_loop()
    watches = {
        name: (await loop.create_connection(_Watch, "127.0.0.1", door.port))[1]
        for name, door in doors.items()
    }
    asked = {name: question(door, Wish(chunks=3)) for name, door in doors.items()}
    names = list(doors)
    for name in names * 10:
        await watches[name].ask(asked[name])
    taken: dict[str, list[float]] = {name: [] for name in names}
    chance = random.Random(1)
    for _ in range(rounds):
        chance.shuffle(names)
        for name in names:
            taken[name].append(await watches[name].ask(asked[name]))
    return taken
