"""What a message to many costs: kaiwa's hub beside python-socketio and socket.io in Node, in the same run.

Servers and the crowd of clients are processes of their own, on a core each; what is counted is the CPU time
of the servers. Each house does the same in turns (`bench/peers/orders.py`), and the best of the rounds
counts, since what else the machine does only ever adds.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, load_now
from bench.signalr_processes import KAIWA, Crowd, House, Kind, crowd, house, peers
from kaiwa.cli.local_server import free_port

ROUNDS = 3
FEW, MANY = 200, 1000
WARM = 100
BURSTS = {FEW: 50, MANY: 20}
PIPED = {FEW: 256, MANY: 96}
WINDOW = 64
"""How many messages a client that talks has on their way."""
SPENT_S = 1.5
"""CPU time after which a figure is believed, …"""
ELAPSED_S = 4.0
"""… or the time that it may take."""
HZ, PACED_S = 20, 5.0
OVERTIME_S = 10.0
"""How long after their time tokens are waited for."""
SETTLE_S = 0.5
UNIT = "per CPU-s"


class Best:
    """The best of each figure over the rounds."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self.notes: dict[str, str] = {}

    def more(self, name: str, value: float) -> None:
        self._values[name] = max(value, self._values.get(name, value))

    def less(self, name: str, value: float, note: str = "") -> None:
        if value <= self._values.get(name, value):
            self._values[name], self.notes[name] = value, note

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def figure(
        self, name: str, unit: str, digits: int, aim: float | None = None, least: float | None = None
    ) -> Figure:
        note = self.notes.get(name, "")
        return Figure(f"signalr.{name}", round(self[name], digits) or 0, unit, aim, note, least)


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    best = Best()
    async with crowd() as people:
        for _ in range(ROUNDS):
            for kind in (KAIWA, *peers()):
                await _round(best, kind, people)
            await _two_workers(best, people)
    return _figures(best)


async def _round(best: Best, kind: Kind, people: Crowd) -> None:
    async with house(kind) as one:
        await _memory(best, kind.name, one, people)
        await _fan_out(best, kind.name, one, people, MANY)
        await _paced(best, f"{kind.name}.tokens_{MANY}", one, people, apart=False)
        await _paced(best, f"{kind.name}.streams_{MANY}", one, people, apart=True)
        await people.leave()
        await people.connect(one, FEW)
        await _fan_out(best, kind.name, one, people, FEW)
        await people.leave()


async def _fan_out(best: Best, name: str, one: House, people: Crowd, clients: int) -> None:
    best.more(f"{name}.deliveries_{clients}", await _bursts([one], people, clients))
    best.more(f"{name}.piped_{clients}", await _piped(one, people, clients))


async def _memory(best: Best, name: str, one: House, people: Crowd) -> None:
    """Fill the house, and note what the last of the clients, who say nothing, take of it."""
    await people.connect(one, WARM)
    await asyncio.sleep(SETTLE_S)
    before = one.resident_bytes()
    await people.connect(one, MANY - WARM)
    await asyncio.sleep(SETTLE_S)
    each_kb = (one.resident_bytes() - before) / 1024 / (MANY - WARM)
    best.less(f"{name}.idle_connection_kb", each_kb, f"resident, {MANY - WARM} after the first {WARM}")


async def _bursts(houses: Sequence[House], people: Crowd, clients: int) -> float:
    """Return messages delivered for each second of CPU time of the houses; the first of them sends."""

    async def burst() -> int:
        await people.expect(count)
        await houses[0].order(burst=count)
        await _all_got(people, count)
        return count * clients

    count = BURSTS[clients]
    return await _per_cpu_s(houses, burst)


async def _piped(one: House, people: Crowd, clients: int) -> float:
    """As `_bursts`, of what one of the clients says back to back; the house reads it, too."""

    async def burst() -> int:
        await people.talk(count, WINDOW)
        await _all_got(people, count)
        return count * clients

    count = PIPED[clients]
    return await _per_cpu_s([one], burst)


async def _per_cpu_s(houses: Sequence[House], burst: Callable[[], Awaitable[int]]) -> float:
    loop = asyncio.get_running_loop()
    await burst()
    began_s, spent_s, delivered = loop.time(), sum(one.cpu_s() for one in houses), 0
    while True:
        delivered += await burst()
        spent = sum(one.cpu_s() for one in houses) - spent_s
        if spent >= SPENT_S or loop.time() - began_s >= ELAPSED_S:
            return delivered / spent


async def _all_got(people: Crowd, count: int) -> None:
    got = await people.got()
    assert got["least"] == got["most"] == count and not got["lost"], f"not everybody got {count}: {got}"
    assert not got["disordered"], f"messages overtook each other at some: {got}"


async def _paced(best: Best, name: str, one: House, people: Crowd, *, apart: bool) -> None:
    """Send everybody 20 tokens a second; note the share of a core and how late they came."""
    loop, each = asyncio.get_running_loop(), round(HZ * PACED_S)
    await people.expect(each, timing=True)
    began_s, spent_s = loop.time(), one.cpu_s()
    await one.order(hz=HZ, seconds=PACED_S, apart=apart)
    got = await people.got(OVERTIME_S)
    elapsed_s, spent_s = loop.time() - began_s, one.cpu_s() - spent_s
    best.more(f"{name}.arrived_share", got["total"] / each / MANY)
    best.less(f"{name}.core_share", spent_s / PACED_S)
    best.less(f"{name}.late_s", max(0.0, elapsed_s - PACED_S), "the last token, or when it was given up")
    best.less(f"{name}.latency_ms.p50", got["p50_ms"])
    best.less(f"{name}.latency_ms.p99", got["p99_ms"], "from the moment a token was due")
    if got["total"] != each * MANY or got["lost"]:
        # It could not keep up, and what is still on its way would be counted with what follows.
        await people.leave()
        await people.connect(one, MANY)


async def _two_workers(best: Best, people: Crowd) -> None:
    async with _redis() as url, AsyncExitStack() as stack:
        houses = [await stack.enter_async_context(house(KAIWA, url)) for _ in range(2)]
        for one in houses:
            await people.connect(one, FEW // 2)
        best.more(f"kaiwa.two_workers.deliveries_{FEW}", await _bursts(houses, people, FEW))
        await people.leave()


@asynccontextmanager
async def _redis() -> AsyncGenerator[str]:
    binary = shutil.which("redis-server")
    if binary is None:
        raise RuntimeError("redis-server is missing. Install it: apt-get install redis-server")
    port = free_port()
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
            "--logfile", str(Path(folder) / "redis.log"),
        )  # fmt: skip
        try:
            await _answers(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            await process.wait()


async def _answers(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


# --- figures -----------------------------------------------------------------------------------


def _figures(best: Best) -> list[Figure]:
    best.notes[f"kaiwa.deliveries_{FEW}"] = f"best of {ROUNDS}, load {load_now():.1f}"
    figures: list[Figure] = []
    for kind in (KAIWA, *peers()):
        ours = kind is KAIWA
        figures += [
            best.figure(f"{kind.name}.deliveries_{FEW}", UNIT, 0, least=150_000 if ours else None),
            best.figure(f"{kind.name}.deliveries_{MANY}", UNIT, 0),
            *(best.figure(f"{kind.name}.piped_{clients}", UNIT, 0) for clients in (FEW, MANY)),
            *_of_tokens(best, f"{kind.name}.tokens_{MANY}", 0.25 if ours else None, 1 if ours else None),
            *_of_tokens(best, f"{kind.name}.streams_{MANY}", None, 1 if ours else None),
            best.figure(f"{kind.name}.idle_connection_kb", "kB", 1, aim=20 if ours else None),
        ]
    for kind in peers():
        for what, called in (("deliveries", "ratio"), ("piped", "piped_ratio")):
            for clients, least in ((FEW, 1.5), (MANY, None)):
                ratio = best[f"kaiwa.{what}_{clients}"] / best[f"{kind.name}.{what}_{clients}"]
                name = f"signalr.kaiwa_to_{kind.name}_{called}_{clients}"
                figures.append(Figure(name, round(ratio, 2), "×", least=least))
    two = best[f"kaiwa.two_workers.deliveries_{FEW}"]
    one = best[f"kaiwa.deliveries_{FEW}"]
    return [
        *figures,
        best.figure(f"kaiwa.two_workers.deliveries_{FEW}", UNIT, 0),
        Figure("signalr.kaiwa.two_workers.ratio", round(two / one, 2), "×", least=0.85),
    ]


def _of_tokens(best: Best, name: str, share: float | None, arrived: float | None) -> list[Figure]:
    return [
        best.figure(f"{name}.arrived_share", "share", 4, least=arrived),
        best.figure(f"{name}.core_share", "share", 3, aim=share),
        best.figure(f"{name}.late_s", "s", 2),
        best.figure(f"{name}.latency_ms.p50", "ms", 2),
        best.figure(f"{name}.latency_ms.p99", "ms", 2),
    ]
