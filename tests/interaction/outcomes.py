"""Which scenario went well at which door: kept by the run, shown as the table of docs/doors.md.

`python -m tests.interaction.outcomes` compares the page with the last run; `--write` renders it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.interaction.doors import DOORS

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


def table(went: Iterable[Went]) -> str:
    known = set(went)
    lines = [f"| what happens | answered by | {' | '.join(DOORS)} |", f"|---|---|{'---|' * len(DOORS)}"]
    for body, house in sorted({(body, house) for body, house, _ in known}):
        cells = ["✓" if (body, house, door) in known else "" for door in DOORS]
        lines.append(f"| {body} | {house} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rendered(page: str, went: Iterable[Went]) -> str:
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table(went)}\n{END}{rest.split(END)[1]}"


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    wanted = rendered(page, read())
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
