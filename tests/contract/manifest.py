"""Holds the tests that ran against the lists of what the protocols promise, one list for each protocol.

A statement is proved when a test marked `@rule("K-…", broken_by=…)` passed in this run twice: as it is, and
with the named breakage planted, where its assertions must fail.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest

MOST_DIVERGENCES = 5
_TESTS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Requirement:
    id: str
    says: str
    awaits: str = ""
    diverges: str = ""
    where: str = "tests"


@dataclass(frozen=True)
class Manifest:
    """The statements of one protocol. Its ids begin with `prefix`; `whole` are the runs that must prove all."""

    title: str
    prefix: str
    path: Path
    whole: frozenset[str]

    def requirements(self) -> dict[str, Requirement]:
        listed = tomllib.loads(self.path.read_text(encoding="utf-8"))
        return {name: Requirement(name, **fields) for name, fields in listed.items()}


REALTIME = Manifest(
    "Realtime contract", "K-", _TESTS / "contract/requirements.toml", frozenset({"tests", "tests/contract"})
)
SIGNALR = Manifest("SignalR contract", "S-", _TESTS / "hub/requirements.toml", frozenset({"tests"}))
MANIFESTS = (REALTIME, SIGNALR)


@cache
def requirements() -> Mapping[str, Requirement]:
    """Return the statements of every protocol: read once, for each of hundreds of marks asks for them."""
    return MappingProxyType(
        {name: one for manifest in MANIFESTS for name, one in manifest.requirements().items()}
    )


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

    def marked(self) -> set[str]:
        return {*self.held, *self.noticed, *self.failed}


def complaints(
    listed: Mapping[str, Requirement], proofs: Proofs, *, where: str = "tests", prefix: str = ""
) -> list[str]:
    """Return what is wrong with a whole run, a sentence each; empty when all is proved or accounted for."""
    found: list[str] = []
    marked = {name for name in proofs.marked() if name.startswith(prefix)}
    found += [f"{name} is not in requirements.toml" for name in sorted(marked - set(listed))]
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
