"""Which client completed which turns on which engine: kept by the run, shown as the tables of docs/clients.md.

`python -m tests.clients.outcomes` compares the page with the last run; `--write` renders it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.clients.turns import TURNS

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "clients.json"
PAGE = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HUB_BEGIN, HUB_END = "<!-- hubs: begin -->", "<!-- hubs: end -->"
ENGINES = ("local", "relay")
HUB = "hub"
"""In the place of an engine: the client is one of SignalR, its turns are what it did."""


@dataclass(frozen=True, order=True)
class Outcome:
    """A surface of a client that completed these turns."""

    client: str
    version: str
    surface: str
    dialect: str
    engine: str
    turns: tuple[str, ...] = TURNS


def read() -> list[Outcome]:
    if not KEPT.is_file():
        return []
    entries = json.loads(KEPT.read_text(encoding="utf-8"))
    return [Outcome(**entry | {"turns": tuple(entry["turns"])}) for entry in entries]


@contextmanager
def recorded(
    client: str, version: str, engine: str, surfaces: Mapping[str, str], turns: Sequence[str]
) -> Iterator[None]:
    """Keep that the surfaces completed their turns when the body ends well; forget what was kept before."""
    others = [
        one for one in read() if (one.client, one.engine) != (client, engine) or one.surface not in surfaces
    ]
    _keep(others)
    yield
    done = [Outcome(client, version, name, said, engine, tuple(turns)) for name, said in surfaces.items()]
    _keep([*others, *done])


def _keep(outcomes: list[Outcome]) -> None:
    KEPT.parent.mkdir(exist_ok=True)
    entries = [asdict(one) for one in sorted(outcomes)]
    KEPT.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the rows as the page shows them: a surface each, an engine a column."""
    rows: dict[tuple[str, str, str, str], dict[str, Outcome]] = {}
    for one in sorted(one for one in outcomes if one.engine != HUB):
        rows.setdefault((one.client, one.version, one.surface, one.dialect), {})[one.engine] = one
    lines = ["| client | version | surface | dialect | local engine | relay |", "|---|---|---|---|---|---|"]
    for key, by_engine in rows.items():
        cells = [*key, *(_cell(by_engine.get(engine)) for engine in ENGINES)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def hub_table(outcomes: Iterable[Outcome]) -> str:
    """Return the rows of clients of SignalR: a way to connect each, and what was done over it."""
    hubs = sorted(one for one in outcomes if one.engine == HUB)
    rows = [f"| {one.client} | {one.version} | {one.surface} | {', '.join(one.turns)} |" for one in hubs]
    return "\n".join(["| client | version | over | did |", "|---|---|---|---|", *rows])


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not run"
    assert outcome.turns[: len(TURNS)] == TURNS, "the five turns come first"
    return ", ".join(["all five", *outcome.turns[len(TURNS) :]])


def rendered(page: str, outcomes: Iterable[Outcome]) -> str:
    known = list(outcomes)
    page = _between(page, BEGIN, END, table(known))
    return _between(page, HUB_BEGIN, HUB_END, hub_table(known))


def _between(page: str, begin: str, end: str, text: str) -> str:
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n{text}\n{end}{after}"


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    wanted = rendered(page, read())
    if arguments == ["--write"]:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if page != wanted:
        sys.stderr.write(
            f"docs/{PAGE.name} does not show the last run. Run every client (make test, make test-clients), "
            f"then: python -m tests.clients.outcomes --write\n(After a renaming remove {KEPT.name} first.) "
            f"The last run:\n{table(read())}\n{hub_table(read())}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
