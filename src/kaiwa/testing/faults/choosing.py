"""Which faults are chosen, as `NAME;at=2;for_s=1,NAME`, and whether one strikes now. Pure.

Knows counts of occasions; doing what a fault says is the part of who asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from kaiwa.events.value import Value
from kaiwa.testing.faults.catalogue import fault_named
from kaiwa.testing.faults.kinds import Fault, Player

MOST_CHOICES: Final = 32


class Choice(Value):
    """A fault and what it was told; what it was not told is as usual."""

    fault: Fault
    told: dict[str, str]

    def text(self, name: str) -> str:
        parameter = self.fault.parameter(name)
        assert parameter is not None, f"{self.fault.name} has no parameter {name}"
        return self.told.get(name, parameter.usual)

    def number(self, name: str) -> float:
        return float(self.text(name))

    def for_the_service(self) -> dict[str, str]:
        """Return the faults of the stand-in that this is."""
        own = {one.name: self.text(one.name) for one in self.fault.parameters}
        return self.fault.service | {
            name: value for name, value in own.items() if name not in ("at", "times")
        }


def parse_choices(text: str) -> tuple[Choice, ...]:
    """Read `tool-slow;for_s=2,upstream-busy`. Raises ValueError with what is wrong and what there is."""
    choices = tuple(_choice(part) for part in text.split(",") if part.strip())
    if len(choices) > MOST_CHOICES:
        raise ValueError(f"there are more than {MOST_CHOICES} faults")
    return choices


def _choice(text: str) -> Choice:
    name, *pairs = (part.strip() for part in text.split(";"))
    fault = fault_named(name)
    told = {key.strip(): value.strip() for key, _, value in (pair.partition("=") for pair in pairs if pair)}
    for key, value in told.items():
        _check(fault, key, value)
    return Choice(fault, told)


def _check(fault: Fault, key: str, value: str) -> None:
    parameter = fault.parameter(key)
    if parameter is None:
        known = ", ".join(one.name for one in fault.parameters) or "none"
        raise ValueError(f"{fault.name} has no parameter {key[:40]!r}; there are: {known}")
    if parameter.is_text:
        return
    try:
        fits = 0 <= float(value) < float("inf")
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{key} of {fault.name} is a number from 0, not {value[:40]!r}")


class Strikes:
    """The chosen faults of one request or of a whole house, and how many occasions each has had."""

    def __init__(self, choices: Iterable[Choice] = ()) -> None:
        self._choices = tuple(choices)
        self._occasions: Counter[int] = Counter()

    def __bool__(self) -> bool:
        return bool(self._choices)

    def names(self, player: Player) -> frozenset[str]:
        """Return which of those that this one plays are chosen."""
        return frozenset(one.fault.name for one in self._choices if one.fault.player == player)

    def due(self, name: str, **about: str) -> Choice | None:
        """Count an occasion for this fault; return the choice when it strikes.

        `about` says what the occasion is about: it counts for choices whose parameters of those names fit.
        """
        struck: Choice | None = None
        for number, choice in enumerate(self._choices):
            if choice.fault.name != name or not _is_about(choice, about):
                continue
            self._occasions[number] += 1
            struck = choice if struck is None and self._strikes(number, choice) else struck
        return struck

    def chosen(self, name: str) -> Choice | None:
        """Return the choice of a fault that has no occasions but holds all the time."""
        return next((choice for choice in self._choices if choice.fault.name == name), None)

    def _strikes(self, number: int, choice: Choice) -> bool:
        at, times = choice.number("at"), choice.number("times")
        since = self._occasions[number] - at
        return since >= 0 and (times == 0 or since < times)


def _is_about(choice: Choice, about: dict[str, str]) -> bool:
    return all(fnmatchcase(value, choice.text(name)) for name, value in about.items())
