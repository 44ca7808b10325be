"""The newest measurements, and the newest errors: bounded, and nothing but numbers and codes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

KEPT: Final = 256
MOST_KINDS: Final = 50


class Recent:
    """The newest durations of one kind."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=KEPT)
        self.count = 0

    def add(self, seconds: float) -> None:
        self._samples.append(seconds)
        self.count += 1

    def quantiles_ms(self, *shares: float) -> list[float | None]:
        """Return one value for each share; None while there is nothing."""
        return quantiles([ms(seconds) for seconds in self._samples], *shares)

    def newest_ms(self, number: int) -> list[float]:
        return [ms(seconds) for seconds in list(self._samples)[-number:]]


def quantiles(samples: Sequence[float], *shares: float) -> list[float | None]:
    """Return one value for each share; None while there is nothing."""
    ordered = sorted(samples)
    if not ordered:
        return [None for _ in shares]
    return [ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in shares]


@dataclass(slots=True)
class Trouble:
    code: str
    where: str
    count: int
    at: float


class Troubles:
    """Errors by what they were and where; of more than 50 kinds the one that is longest past goes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Trouble] = {}

    def note(self, code: str, where: str, at: float) -> None:
        known = self._known.pop((code, where), None) or Trouble(code, where, 0, at)
        known.count += 1
        known.at = at
        self._known[code, where] = known
        while len(self._known) > MOST_KINDS:
            del self._known[next(iter(self._known))]

    @property
    def newest_first(self) -> list[Trouble]:
        return list(reversed(self._known.values()))


def ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
