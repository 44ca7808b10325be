"""When a second attempt beside a slow first one is worth its money. Knows shares and quantiles only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MOST_CREDIT: Final = 3.0
_ROUNDING: Final = 1e-9
SAMPLES: Final = 20
_LEAST_S: Final = 0.05


@dataclass(frozen=True)
class HedgeRules:
    """`after_s` None: after what the fastest deployment needs in `quantile` of all cases, once that is known.

    At most `share` of the requests get a second attempt.
    """

    after_s: float | None = None
    quantile: float = 0.95
    share: float = 0.05


class Hedging:
    """The purse: every request puts `share` of an attempt into it, every second attempt takes a whole one."""

    def __init__(self, rules: HedgeRules | None) -> None:
        self.rules = rules
        self._credit = 0.0
        self.spent = 0

    @property
    def affordable(self) -> bool:
        return self.rules is not None and self._credit >= 1 - _ROUNDING

    def asked(self) -> None:
        if self.rules is not None:
            self._credit = min(self._credit + self.rules.share, _MOST_CREDIT)

    def spend(self) -> None:
        assert self.affordable, "who spends has looked before"
        self._credit -= 1
        self.spent += 1

    def after_s(self, quantiles: list[float]) -> float | None:
        if self.rules is None:
            return None
        if self.rules.after_s is not None:
            return self.rules.after_s
        return max(min(quantiles), _LEAST_S) if quantiles else None
