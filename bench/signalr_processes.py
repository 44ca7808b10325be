"""The processes of the hubs' benchmark: houses that send and the crowd that reads, told by lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.memory import resident_mb
from kaiwa.cli.local_server import free_port

ROOT: Final = Path(__file__).parents[1]
PEERS: Final = ROOT / "bench" / "peers"
PATIENCE_S: Final = 90.0
HOUSES_CORE, CROWDS_CORE = 0, 1
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Kind:
    """A server: how its figures are called, how its clients speak, how it is run with a port behind."""

    name: str
    dialect: str
    command: tuple[str, ...]


KAIWA: Final = Kind("kaiwa", "signalr", (sys.executable, "-m", "bench.signalr_house"))


def peers() -> tuple[Kind, ...]:
    python = ROOT / ".venv-peers" / "python-socketio" / "bin" / "python"
    in_node = PEERS / "js" / "node_modules" / "socket.io"
    for wanted in (python, in_node):
        if not wanted.exists():
            raise RuntimeError("a peer is missing; run scripts/setup-peers.sh")
    return (
        Kind("python_socketio", "socketio", (str(python), str(PEERS / "socketio_house.py"))),
        Kind("socketio", "socketio", ("node", str(PEERS / "js" / "socketio_house.mjs"))),
    )


class Told:
    """A process that answers each order with one line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def process_id(self) -> int:
        return self._process.pid

    async def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with {await self._process.wait()}")
        return json.loads(line)

    async def order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await self.answer()


class House(Told):
    def __init__(self, process: asyncio.subprocess.Process, kind: Kind, port: int) -> None:
        super().__init__(process)
        self.kind = kind
        self.port = port

    def cpu_s(self) -> float:
        """CPU seconds that all threads of the process have spent so far."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def resident_bytes(self) -> float:
        return resident_mb(self.process_id) * 1024 * 1024


class Crowd(Told):
    async def connect(self, house: House, count: int) -> None:
        await self.order(do="connect", port=house.port, count=count, dialect=house.kind.dialect)

    async def expect(self, each: int, *, timing: bool = False) -> None:
        await self.order(do="expect", each=each, timing=timing)

    async def talk(self, each: int, window: int) -> None:
        """Have one of them call `broadcast` so often, and expect what comes of it."""
        await self.order(do="talk", each=each, window=window)

    async def got(self, patience_s: float = 60.0) -> dict[str, Any]:
        return await self.order(do="got", patience_s=patience_s)

    async def leave(self) -> None:
        await self.order(do="leave")


@asynccontextmanager
async def house(kind: Kind, *arguments: str) -> AsyncGenerator[House]:
    port = free_port()
    async with _running((*kind.command, str(port), *arguments), HOUSES_CORE) as process:
        one = House(process, kind, port)
        await one.answer()
        yield one


@asynccontextmanager
async def crowd() -> AsyncGenerator[Crowd]:
    async with _running((sys.executable, "-m", "bench.signalr_crowd"), CROWDS_CORE) as process:
        people = Crowd(process)
        await people.answer()
        yield people


@asynccontextmanager
async def _running(command: tuple[str, ...], core: int) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A process, on one core with all its threads where there are two; ended with the block."""
    pipe = asyncio.subprocess.PIPE
    cores = os.sched_getaffinity(0)
    only = sorted(cores)[core % len(cores)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, cwd=ROOT, preexec_fn=lambda: os.sched_setaffinity(0, {only})
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
