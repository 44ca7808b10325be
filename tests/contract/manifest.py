"""Holds the tests that ran against the list of what the protocol promises.

A statement is proved when a test marked `@rule("K-…", broken_by=…)` passed in this run twice: as it is, and
with the named breakage planted, where its assertions must fail.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).with_name("requirements.toml")
MOST_DIVERGENCES = 5


@dataclass(frozen=True)
class Requirement:
    id: str
    says: str
    awaits: str = ""
    diverges: str = ""
    where: str = "tests"


def requirements() -> dict[str, Requirement]:
    listed = tomllib.loads(REQUIREMENTS.read_text(encoding="utf-8"))
    return {name: Requirement(name, **fields) for name, fields in listed.items()}


def rule(*ids: str, broken_by: Callable[[], object]) -> pytest.MarkDecorator:
    """Mark a test as the proof of these statements, and name what must make it fail.

    `broken_by` makes a fresh breakage. Marks may be stacked: one breakage for each statement.
    """
    return pytest.mark.rule(*ids, broken_by=broken_by)


@dataclass
class Proofs:
    """What the tests of one run showed: per statement the tests that held, that noticed, and that failed."""

    held: dict[str, set[str]] = field(default_factory=dict)
    noticed: dict[str, set[str]] = field(default_factory=dict)
    failed: dict[str, set[str]] = field(default_factory=dict)

    def note(self, ids: Iterable[str], test: str, *, planted: bool, passed: bool) -> None:
        kind = self.failed if not passed else self.noticed if planted else self.held
        for name in ids:
            kind.setdefault(name, set()).add(test)

    def proved(self, name: str) -> bool:
        both = self.held.get(name, set()) & self.noticed.get(name, set())
        return bool(both) and not self.failed.get(name)


def complaints(listed: Mapping[str, Requirement], proofs: Proofs, *, where: str = "tests") -> list[str]:
    """Return what is wrong with a whole run, a sentence each; empty when all is proved or accounted for."""
    found: list[str] = []
    marked = {*proofs.held, *proofs.noticed, *proofs.failed}
    found += [f"{name} is not in {REQUIREMENTS.name}" for name in sorted(marked - set(listed))]
    for name, requirement in listed.items():
        proved = proofs.proved(name)
        excused = requirement.awaits or requirement.diverges
        if proved and excused:
            found.append(f"{name} is proved now; remove its excuse ({excused})")
        elif not proved and not excused and requirement.where == where:
            found.append(f"{name} is not proved: {requirement.says}")
    diverging = [name for name, requirement in listed.items() if requirement.diverges]
    if len(diverging) > MOST_DIVERGENCES:
        found.append(f"{len(diverging)} divergences, {MOST_DIVERGENCES} at most: {', '.join(diverging)}")
    return found
