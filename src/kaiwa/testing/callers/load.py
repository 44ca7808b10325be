"""Many callers at once for some time, each doing a scenario again and again. Knows counts and percentiles."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.exceptions import InvalidHandshake, InvalidMessage

from kaiwa.testing.callers.judging import Check, failed
from kaiwa.testing.callers.performance import Performance

_SPREAD_S: Final = 2.0
_REST_AFTER_REFUSAL_S: Final = 0.5
_KEPT_FIGURES: Final = 200_000

Attempt = Callable[[int], Awaitable[tuple[Performance, list[Check]]]]
"""Makes the n-th call and judges it. Raises OSError or InvalidHandshake when it does not come about."""


@dataclass
class LoadReport:
    """What became of all calls. Figures are milliseconds of call time."""

    callers: int
    calls: int = 0
    passed: int = 0
    refused: int = 0
    talking: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    first_audio_ms: list[float] = field(default_factory=list[float])
    first_text_ms: list[float] = field(default_factory=list[float])
    silence_ms: list[float] = field(default_factory=list[float])
    whole_s: list[float] = field(default_factory=list[float])
    turns: int = 0
    unanswered: int = 0

    @property
    def ok(self) -> bool:
        return self.calls > 0 and self.passed == self.calls and not self.refused

    def take(self, done: Performance, checks: Sequence[Check]) -> None:
        """Count a call; nothing else of it is kept."""
        self.calls += 1
        wrong = failed(checks)
        self.passed += not wrong
        self.failures.update(check.name for check in wrong)
        for turn in done.call.turns:
            self.turns += 1
            self.unanswered += turn.first_audio_s is None and turn.first_text_s is None
            self._keep(self.first_audio_ms, turn.since_speech_ms(turn.first_audio_s))
            self._keep(self.first_text_ms, turn.since_speech_ms(turn.first_text_s))
        for silence in done.silences_ms:
            self._keep(self.silence_ms, silence)
        self._keep(self.whole_s, round(done.whole_s, 3))

    def as_json(self) -> dict[str, Any]:
        return {
            "callers": self.callers,
            "calls": self.calls,
            "passed": self.passed,
            "refused": self.refused,
            "turns": self.turns,
            "unanswered_turns": self.unanswered,
            "failures": dict(self.failures),
            "percentiles": {name: percentiles(values) for name, values in self.figures().items()},
        }

    def figures(self) -> dict[str, list[float]]:
        """Return the figures that there are, by name."""
        all_of_them = {
            "first_audio_ms": self.first_audio_ms,
            "first_text_ms": self.first_text_ms,
            "silence_after_interruption_ms": self.silence_ms,
            "whole_call_s": self.whole_s,
        }
        return {name: values for name, values in all_of_them.items() if values}

    @staticmethod
    def _keep(figures: list[float], figure: float | None) -> None:
        if figure is not None and len(figures) < _KEPT_FIGURES:
            figures.append(figure)


async def run_load(
    attempt: Attempt,
    callers: int,
    for_s: float,
    on_change: Callable[[LoadReport], None] = lambda report: None,
) -> LoadReport:
    """Let `callers` call at once; none begins a call after `for_s`, and those that talk then finish.

    With `for_s` 0 each calls once, all at the same time.
    """
    report = LoadReport(callers)
    loop = asyncio.get_running_loop()
    end_s = loop.time() + for_s
    numbers = iter(range(10**9))

    async def call_again_and_again(index: int) -> None:
        await asyncio.sleep(min(_SPREAD_S, for_s) * index / callers)
        while True:
            report.talking += 1
            on_change(report)
            try:
                report.take(*await attempt(next(numbers)))
            except (OSError, InvalidHandshake, InvalidMessage, TimeoutError):
                report.refused += 1
                await asyncio.sleep(_REST_AFTER_REFUSAL_S)
            finally:
                report.talking -= 1
                on_change(report)
            if loop.time() >= end_s:
                return

    async with asyncio.TaskGroup() as group:
        for index in range(callers):
            group.create_task(call_again_and_again(index))
    return report


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the greatest (nearest rank). Values must not be empty."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]

    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": ordered[-1]}
