"""How many callers may talk at once before the 95th percentile of the answer time doubles."""

from __future__ import annotations

import asyncio
import os

from bench.calls import TurnFigures, callers_at_once, fresh_server
from bench.figures import Figure, quantile

LEVELS = (1, 3, 5, 6, 8)
AIM_CALLERS = 5


def measure() -> list[Figure]:
    figures: list[Figure] = []
    base_ms: float | None = None
    most = 0
    for callers in LEVELS:
        turns = asyncio.run(_level(callers))
        heard = [turn.speech_to_audio_ms for turn in turns if turn.speech_to_audio_ms is not None]
        unanswered = len(turns) - len(heard)
        if not heard:
            break
        p95_ms = quantile(heard, 0.95)
        base_ms = base_ms or p95_ms
        note = f"n={len(heard)}, unanswered {unanswered}"
        figures += [
            Figure(
                f"capacity.callers_{callers}.speech_end_to_audio_ms.p50", round(quantile(heard, 0.5)), "ms"
            ),
            Figure(f"capacity.callers_{callers}.speech_end_to_audio_ms.p95", round(p95_ms), "ms", note=note),
        ]
        if p95_ms > 2 * base_ms or unanswered:
            break
        most = callers
    cores = os.cpu_count() or 1
    note = f"aim: at least {AIM_CALLERS}; the callers' own processes share the cores"
    return [
        *figures,
        Figure("capacity.talking_callers", most, "callers", note=note),
        Figure("capacity.talking_callers_per_core", most / cores, "callers"),
    ]


async def _level(callers: int) -> list[TurnFigures]:
    async with fresh_server() as server:
        return await callers_at_once(server.url, callers)
