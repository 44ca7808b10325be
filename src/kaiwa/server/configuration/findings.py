"""What is said of a configuration: what is wrong where, what is allowed, how to mend it; in two languages.

Knows sentences and places. A finding shows names, files and lines, and no value that may be secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.events.examined import NOTHING, Words
from kaiwa.server.settings import Disagreement

Place = Literal["option", "environment", ".env", "file", "default"]
Weight = Literal["failure", "warning"]

__all__ = [
    "DEFAULT",
    "NOTHING",
    "Finding",
    "Origin",
    "Place",
    "Weight",
    "Words",
    "WrongConfiguration",
    "told_of",
]


class Origin(msgspec.Struct, frozen=True):
    """Where a value was written: `name` as it stands there; `path` and `line` of files only."""

    place: Place
    name: str
    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where} {self.name}".strip() if where else f"{self.name} ({self.place})"


DEFAULT = Origin("default", "")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong (`failure`) or will surprise (`warning`). `setting` as the environment has it."""

    setting: str
    problem: Words
    remedy: Words
    origin: Origin | None = None
    weight: Weight = "failure"

    @property
    def where(self) -> str:
        if self.origin is None or str(self.origin) == self.setting:
            return self.setting
        if self.origin.place in ("environment", "option"):
            return f"{self.setting} ({self.origin.place})"
        return f"{self.setting} ({self.origin})" if self.setting != self.origin.name else str(self.origin)

    def __str__(self) -> str:
        return f"{self.where}: {self.problem.english} {self.remedy.english}".strip()

    @property
    def japanese(self) -> str:
        return f"{self.problem.japanese} {self.remedy.japanese}".strip()


class WrongConfiguration(ConfigError):
    """Everything that is wrong with a configuration, at once."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        assert findings, "who is right is not told off"
        first = findings[0]
        super().__init__(first.setting, first.problem.english, first.remedy.english)
        self.findings = tuple(findings)

    @property
    def japanese(self) -> str:
        """The same in Japanese, a line for each finding that has it."""
        told = [f"  {one.setting}: {one.japanese}" for one in self.findings if one.japanese]
        return "\n".join(told)

    def __str__(self) -> str:
        if len(self.findings) == 1:
            return str(self.findings[0])
        lines = [f"  {finding}" for finding in self.findings]
        return "\n".join([f"{len(lines)} settings are wrong.", *lines])


def told_of(wrong: ConfigError, origin: Origin | None = None) -> Finding:
    """Return what a room found wrong, as a finding."""
    japanese = wrong.japanese if isinstance(wrong, Disagreement) else ("", "")
    return Finding(
        setting=wrong.setting,
        problem=Words(wrong.problem, japanese[0]),
        remedy=Words(wrong.remedy, japanese[1]),
        origin=origin,
    )
