"""Which scenario went well at which door: kept by the run, shown as the table of docs/doors.md.

`python -m tests.interaction.outcomes` compares the page with the last run; `--write` renders it anew. A cell that
did not go well and that `gaps` does not explain is refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.interaction.doors import DOORS
from tests.interaction.gaps import GAPS, gap
from tests.interaction.houses import HOUSES

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "doors.json"
PAGE = ROOT / "docs" / "doors.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
Went = tuple[str, str, str]
"""Scenario, house, door."""


def read() -> set[Went]:
    if not KEPT.is_file():
        return set()
    return {(body, house, door) for body, house, door in json.loads(KEPT.read_text(encoding="utf-8"))}


def keep(well: Iterable[Went], badly: Iterable[Went]) -> None:
    """Add what went well; forget what did not."""
    KEPT.parent.mkdir(exist_ok=True)
    entries = sorted((read() | set(well)) - set(badly))
    KEPT.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def missing(went: Iterable[Went]) -> list[Went]:
    """Return the cells of the played scenarios that are empty with no reason."""
    known = set(went)
    cells = [
        (body, house, door)
        for body in sorted({one[0] for one in known})
        for house in HOUSES
        for door in DOORS
    ]
    return [cell for cell in cells if cell not in known and gap(*cell) is None]


def table(went: Iterable[Went]) -> str:
    known = set(went)
    lines = [f"| what happens | answered by | {' | '.join(DOORS)} |", f"|---|---|{'---|' * len(DOORS)}"]
    for body in sorted({body for body, _, _ in known}):
        for house in HOUSES:
            cells = [_cell(known, (body, house, door)) for door in DOORS]
            lines.append(f"| {body} | {house} | {' | '.join(cells)} |")
    reasons = [f"{number}. {one.why}" for number, one in enumerate(GAPS, start=1)]
    return "\n".join([*lines, "", "The numbers:", "", *reasons])


def _cell(known: set[Went], cell: Went) -> str:
    if cell in known:
        return "✓"
    why = gap(*cell)
    return "" if why is None else str(GAPS.index(why) + 1)


def rendered(page: str, went: Iterable[Went]) -> str:
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table(went)}\n{END}{rest.split(END)[1]}"


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    wanted = rendered(page, read())
    if unexplained := missing(read()):
        told = "\n".join(f"  {' | '.join(cell)}" for cell in unexplained)
        sys.stderr.write(f"Neither played well nor explained in tests/interaction/gaps.py:\n{told}\n")
        return 1
    if arguments == ["--write"]:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if page != wanted:
        sys.stderr.write(
            f"docs/{PAGE.name} does not show the last run. Play every scenario (make test, make test-clients), "
            f"then: python -m tests.interaction.outcomes --write\n(After a renaming remove {KEPT.name} first.)\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
