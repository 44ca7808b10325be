"""The streaming relay beside nginx and LiteLLM, between one load and one fake Azure, in one run.

The fake, the load and each relay are processes of their own. What counts is the CPU time of a relay's
processes, the time to the first words that it adds to those of the fake alone, the memory of a stream, and
what it makes of each fault. Ratios within one run are sound on a busy machine, times are not.

`python -m bench.gateway PART ...` measures some of it, shows that and keeps nothing.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from multiprocessing.connection import Connection
from typing import Final, NamedTuple, ParamSpec, TypeVar

import uvloop

from bench.figures import Figure, load_now, quantile
from bench.gateway_faults import TRIALS, Verdict, try_all
from bench.gateway_houses import Patience, running
from bench.gateway_load import Carried, Door, Held, carry, first_chunks, hold, on_cores_apart
from bench.gateway_soak import Soaked, soak
from bench.gateway_upstream import Wish, serve

P = ParamSpec("P")
R = TypeVar("R")
RELAYS: Final = ("nginx", "litellm", "kaiwa")
# What copying bytes alone costs in this language: the floor of a relay that does more.
BARE: Final = "bare"
# Whoever is asked between two requests to a relay takes its caches, and LiteLLM works on behind an answer: so
# each is asked for first words in turns with nginx and the fake alone, LiteLLM with the fake.
FIRST_TURNS: Final = (("nginx", "kaiwa"), ("nginx", BARE), ("litellm",))
DEPLOYMENTS: Final = 2
FIRST_CHUNKS: Final = 600
ROUNDS: Final = 2
# Paced streams leave a relay's caches to others between two chunks: what those do shows most in it.
PACED_ROUNDS: Final = 4
WARM_S: Final = 0.5
MEASURED_S: Final = 2.5
SLOW_STREAMS: Final = 1000
SLOW_WITHIN_S: Final = 45.0
SOAK_SETTING: Final = "KAIWA_BENCH_SOAK_S"
SOAK_S: Final = 45.0
# A pool as of a house that means it: 429 of one leaves others.
SOAK_DEPLOYMENTS: Final = 6
# Chunks for each CPU-second that a soak alone reckons with: 125 streams.
SOAK_RATE: Final = 25_000
HALF: Final = 0.5
# What a relay waits for while faults are tried: less than a client does.
SHORT: Final = Patience(service_s=3, heartbeat_s=1)


class Level(NamedTuple):
    name: str
    streams: int
    wish: Wish


PACED: Final = "paced_128"
PARTS: Final = ("firsts", "chunks", "memory", "faults", "soak")
LEVELS: Final = (
    Level("streams_1", 1, Wish()),
    Level("streams_32", 32, Wish()),
    Level("streams_128", 128, Wish()),
    Level(PACED, 128, Wish(pace_ms=10)),
)
Verdicts = dict[str, dict[str, Verdict]]
Firsts = dict[str, list[float]]


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure(parts: Collection[str] = PARTS) -> list[Figure]:
    figures: list[Figure] = []
    rate = SOAK_RATE
    if "firsts" in parts or "chunks" in parts:
        load = load_now()
        async with fake_azure(DEPLOYMENTS) as ports, running((*RELAYS, BARE), ports, Patience()) as doors:
            if "firsts" in parts:
                figures += _first_figures(await _firsts(Door(ports[0], "", os.getpid()), doors))
            if "chunks" in parts:
                carried = await _carried(doors)
                figures += _chunk_figures(carried, load)
                rate = _rate(carried[PACED, "kaiwa"])
    if "memory" in parts:
        figures += _memory_figures(await _held())
    if "faults" in parts:
        figures += _fault_figures(await _verdicts())
    if "soak" in parts:
        figures += _soak_figures(await _soaked(rate))
    return figures


async def _firsts(direct: Door, doors: dict[str, Door]) -> dict[str, Firsts]:
    """Return for each relay the seconds to the first words of all that were asked in its turns."""
    taken: dict[str, Firsts] = {}
    for names in FIRST_TURNS:
        asked = {"direct": direct, **{name: doors[name] for name in names}}
        with on_cores_apart(door.pid for door in doors.values()):
            made = await _apart(first_chunks, asked, FIRST_CHUNKS)
        for name in names:
            taken.setdefault(name, made)
    return taken


async def _carried(doors: dict[str, Door]) -> dict[tuple[str, str], Carried]:
    """Put each load on each relay in turns; return the best of the rounds: what else the machine does only
    adds."""
    best: dict[tuple[str, str], Carried] = {}
    for number in range(PACED_ROUNDS):
        for level in LEVELS:
            if number >= ROUNDS and level.name != PACED:
                continue
            for name, door in doors.items():
                if name == "litellm" and number:
                    continue  # far away, and slow to get rid of what it was asked
                if name == BARE and level.name != PACED:
                    continue
                # A load without pauses takes a core of its own, and so does the fake.
                with on_cores_apart([door.pid]) if level.name == PACED else nullcontext():
                    made = await _apart(carry, door, level.streams, level.wish, WARM_S, MEASURED_S)
                known = best.get((level.name, name))
                if known is None or _rate(made) > _rate(known):
                    best[level.name, name] = made
    return best


async def _held() -> dict[str, Held]:
    """Let fresh relays hold slow streams: what a load once took stays with a process, and would hide them."""
    async with fake_azure(DEPLOYMENTS) as ports, running(RELAYS, ports, Patience()) as doors:
        return {name: await _apart(hold, door, SLOW_STREAMS, SLOW_WITHIN_S) for name, door in doors.items()}


async def _verdicts() -> Verdicts:
    async with fake_azure(DEPLOYMENTS) as ports, running(RELAYS, ports, SHORT) as doors:
        async with asyncio.TaskGroup() as group:
            tried = {name: group.create_task(try_all(door, ports[0])) for name, door in doors.items()}
        return {name: task.result() for name, task in tried.items()}


async def _soaked(chunks_per_cpu_s: float) -> Soaked:
    """Run as many paced streams as take half of what one core carries."""
    streams = max(8, round(chunks_per_cpu_s * HALF / 100))
    seconds = float(os.environ.get(SOAK_SETTING, SOAK_S))
    async with fake_azure(SOAK_DEPLOYMENTS) as ports, running(["kaiwa"], ports, SHORT) as doors:
        return await _apart(soak, doors["kaiwa"], streams, seconds)


# --- figures -------------------------------------------------------------------------------------------


def _rate(carried: Carried) -> float:
    return carried.chunks / max(carried.cpu_s, 0.01)


def _first_figures(firsts: dict[str, Firsts]) -> list[Figure]:
    figures: list[Figure] = []
    for share, label in ((0.5, "p50"), (0.95, "p95")):
        alone = quantile(firsts["kaiwa"]["direct"], share) * 1000
        figures.append(Figure(f"gateway.direct.first_chunk_ms.{label}", round(alone, 3), "ms"))
        for name, made in firsts.items():
            added = round(_added_ms(made, name, share), 3)
            note = f"n={len(made[name])}, beyond direct"
            figures.append(Figure(f"gateway.{name}.added_ms.{label}", added, "ms", note=note))
    bare, kaiwa = (
        round(_added_ms(firsts[name], name, 0.5) / max(_added_ms(firsts[name], "nginx", 0.5), 0.001), 2)
        for name in (BARE, "kaiwa")
    )
    return [
        *figures,
        Figure("gateway.bare_added_to_nginx", bare, "×", note="medians"),
        Figure("gateway.added_to_nginx", kaiwa, "×", aim=2, note="medians"),
    ]


def _added_ms(made: Firsts, name: str, share: float) -> float:
    return (quantile(made[name], share) - quantile(made["direct"], share)) * 1000


def _chunk_figures(carried: dict[tuple[str, str], Carried], load: float) -> list[Figure]:
    figures: list[Figure] = []
    for level in LEVELS:
        for name in (*RELAYS, BARE):
            made = carried.get((level.name, name))
            if made is None:
                continue
            note = f"{made.chunks / made.wall_s:,.0f} a second at {made.cpu_s / made.wall_s:.0%} of a core"
            note += f", {made.lost} lost" if made.lost else ""
            rate = round(_rate(made))
            figures.append(Figure(f"gateway.{name}.{level.name}.chunks_per_cpu_s", rate, "chunks", note=note))
        kaiwa = _rate(carried[level.name, "kaiwa"])
        paced = level.name == PACED
        for peer, least in (("nginx", 0.6), ("litellm", 25)):
            ratio = kaiwa / _rate(carried[level.name, peer])
            figures.append(
                Figure(
                    f"gateway.{level.name}.chunks_to_{peer}",
                    round(ratio, 2),
                    "×",
                    least=least if paced else None,
                    note=f"best of {PACED_ROUNDS if paced else ROUNDS}, load {load:.1f} before",
                )
            )
    return figures


def _memory_figures(memory: dict[str, Held]) -> list[Figure]:
    return [
        Figure(
            f"gateway.{name}.kb_per_slow_stream",
            round(held.kb, 1),
            "kB",
            aim=16 if name == "kaiwa" else None,
            note=f"{held.streams} at once, of {SLOW_STREAMS}",
        )
        for name, held in memory.items()
    ]


def _fault_figures(verdicts: Verdicts) -> list[Figure]:
    """One line for each fault and relay: 1 is right."""
    figures: list[Figure] = []
    for trial in TRIALS:
        for name in RELAYS:
            verdict = verdicts[name][trial]
            least = 1.0 if name == "kaiwa" else None
            figures.append(
                Figure(
                    f"gateway.{name}.right.{trial}", float(verdict.right), "", note=verdict.did, least=least
                )
            )
    for name in RELAYS:
        wrong = sum(not verdict.right for verdict in verdicts[name].values())
        aim = 0.0 if name == "kaiwa" else None
        figures.append(Figure(f"gateway.{name}.wrong", wrong, "faults", aim=aim, note=f"of {len(TRIALS)}"))
    return figures


def _soak_figures(soaked: Soaked) -> list[Figure]:
    struck = soaked.streams - soaked.faults["none"]
    failures = ", ".join(f"{count} × {what}" for what, count in soaked.failures.most_common(4))
    per_s = soaked.streams / soaked.seconds
    return [
        Figure(
            "gateway.soak.seconds", round(soaked.seconds), "s", note=f"{SOAK_SETTING}=600 for ten minutes"
        ),
        Figure(
            "gateway.soak.streams", soaked.streams, "streams", note=f"{struck} with faults, {per_s:.0f}/s"
        ),
        Figure("gateway.soak.failed", soaked.failures.total(), "streams", aim=0, note=failures),
        Figure("gateway.soak.core_share", round(soaked.load_share, 2), "", note="of one core"),
        Figure("gateway.soak.memory_growth_mb", round(soaked.grown_kb / 1024, 1), "MB"),
    ]


# --- processes -----------------------------------------------------------------------------------------

_SPAWN: Final = multiprocessing.get_context("spawn")


async def _apart(work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Do this in a fresh process: nothing of one measuring is left for the next."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        return await asyncio.wrap_future(pool.submit(work, *arguments, **named))


@asynccontextmanager
async def fake_azure(deployments: int) -> AsyncGenerator[Sequence[int]]:
    """Run the fake Azure; yield a port for each of its deployments."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs, deployments), daemon=True)
    process.start()
    try:
        yield await asyncio.to_thread(ours.recv)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _serve(ready: Connection, deployments: int) -> None:
    uvloop.run(serve(ready, deployments))


if __name__ == "__main__":
    for one in asyncio.run(_measure(sys.argv[1:])):
        print(f"{one.name:48} {one.value:>12,.6g} {one.unit:8} {one.promise:8} {one.note}")
