"""Mixed faults at half load, for as long as is asked: every stream has to end as it should.

Nine streams in ten meet nothing, or what another deployment can make good: they must come whole. One in ten
meets what cannot be made good, or a client that leaves: it must end honestly. Runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import uvloop

from bench.gateway_faults import Heard, ask
from bench.gateway_load import Door, cpu_s, resident_kb
from bench.gateway_upstream import DONE, Wish

PACE_MS: Final = 10
CHUNKS: Final = 100
# One request in so many meets a fault; few enough that no breaker opens and some deployment is always free.
FAULT_SHARE: Final = 0.1
MENDED: Final = (
    "refused",
    "failed",
    "reset",
    "error_first",
    "missing_done",
    "fragments",
    "late",
    "filtered",
)
HONEST: Final = ("cut", "reset_within", "cut_cleanly", "error_within", "leaves")
MOST_STREAM_S: Final = 20


@dataclass
class Soaked:
    """How the streams ended. `failures`: what was wrong, by fault."""

    streams: int = 0
    chunks: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    failures: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0
    load_share: float = 0
    """Of one core: what the relay took."""
    grown_kb: float = 0


def soak(door: Door, streams: int, seconds: float) -> Soaked:
    """Keep so many paced streams running for so long, each new one with a fault or without."""
    return uvloop.run(soaked_by(door, streams, seconds))


async def soaked_by(
    door: Door, streams: int, seconds: float, *, fault_share: float = FAULT_SHARE, seed: int = 1
) -> Soaked:
    chance = random.Random(seed)
    soaked, began = Soaked(), time.monotonic()
    until, before, cpu_before = began + seconds, 0, cpu_s(door.pid)
    async with asyncio.TaskGroup() as group:
        for number in range(streams):
            # Not all at once: they would go on in step.
            late_s = number / streams * CHUNKS * PACE_MS / 1000
            group.create_task(_again_and_again(door, soaked, until, late_s, chance, fault_share))
        await asyncio.sleep(min(30.0, seconds / 2))  # until its stores are full
        before = resident_kb(door.pid)
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        soaked.seconds = time.monotonic() - began
        soaked.load_share = (cpu_s(door.pid) - cpu_before) / soaked.seconds
        soaked.grown_kb = resident_kb(door.pid) - before
    return soaked


async def _again_and_again(
    door: Door, soaked: Soaked, until: float, late_s: float, chance: random.Random, fault_share: float
) -> None:
    await asyncio.sleep(late_s)
    while time.monotonic() < until:
        fault = chance.choice((*MENDED, *HONEST)) if chance.random() < fault_share else ""
        trouble = await _one(door, fault, chance, soaked)
        soaked.streams += 1
        soaked.faults[fault or "none"] += 1
        if trouble:
            soaked.failures[f"{fault or 'none'}: {trouble}"] += 1


async def _one(door: Door, fault: str, chance: random.Random, soaked: Soaked) -> str:
    """Ask once; return what was wrong with the answer."""
    wish = _wish(fault, chance)
    leaves = chance.randrange(1, CHUNKS - 1) if fault == "leaves" else None
    try:
        heard = await ask(door, wish, leave_after_words=leaves, most_s=MOST_STREAM_S)
    except TimeoutError:
        return "no end"
    except OSError as error:
        return type(error).__name__
    soaked.chunks += heard.words
    if fault == "leaves":
        return "" if heard.status == 200 else f"status {heard.status}"
    return _trouble_of_honest(heard, wish) if fault in HONEST else _trouble_of_whole(heard, wish)


def _wish(fault: str, chance: random.Random) -> Wish:
    if not fault or fault == "leaves":
        return Wish(chunks=CHUNKS, pace_ms=PACE_MS)
    strikes = {"missing_done": "no_done", "late": ""}.get(fault, fault)
    return Wish(
        chunks=CHUNKS,
        pace_ms=PACE_MS / 5 if fault == "fragments" else PACE_MS,
        id=uuid4().hex,
        fault=strikes,
        at=chance.randrange(1, CHUNKS - 1),
        first_s=1.5 if fault == "late" else 0,
        retry_after=("retry-after-ms", "200") if fault == "refused" else None,
    )


def _trouble_of_whole(heard: Heard, wish: Wish) -> str:
    if heard.status != 200:
        return f"status {heard.status}"
    if not heard.whole:
        return "cut off"
    if heard.words != wish.chunks:
        return f"{heard.words} words of {wish.chunks}"
    if b'"error"' in heard.body:
        return "an error event"
    return "" if heard.body.endswith(DONE) or wish.fault == "no_done" else "no [DONE]"


def _trouble_of_honest(heard: Heard, wish: Wish) -> str:
    if heard.status != 200:
        return f"status {heard.status}"
    if not heard.whole:
        return "cut off"
    if heard.words != wish.at:
        return f"{heard.words} words of {wish.at}"
    if b"[DONE]" in heard.body:
        return "looks whole"
    return "" if b'"error"' in heard.body else "no error event"
