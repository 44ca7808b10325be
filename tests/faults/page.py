"""The tables of docs/faults.md, from the list. `python -m tests.faults.page` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kaiwa.testing.faults import FAULTS, Fault, Parameter
from kaiwa.testing.faults.kinds import PLACES, Place

PAGE: Final = Path(__file__).parents[2] / "docs" / "faults.md"
HEADINGS: Final[dict[Place, tuple[str, str]]] = {
    "upstream": ("Upstream: the service behind a relay", "上流（中継先のサービス）"),
    "network": ("Network: between a caller and the house", "ネットワーク"),
    "peers": ("Peers: what a caller does", "クライアント"),
    "tools": ("Tools", "ツール"),
    "stores": ("Stores", "データストア"),
}
_MARKS: Final = {False: ("<!-- faults -->", "<!-- /faults -->"), True: ("<!-- 障害 -->", "<!-- /障害 -->")}


def tables(*, japanese: bool) -> str:
    return "\n".join(_table(place, japanese) for place in PLACES)


def _table(place: Place, japanese: bool) -> str:
    head = (
        ("障害", "内容", "期待される結果", "指定")
        if japanese
        else ("", "what happens", "what must come of it", "told by")
    )
    rows = [_row(fault, japanese) for fault in FAULTS if fault.place == place]
    return "\n".join((f"### {HEADINGS[place][japanese]}\n", _line(head), "|---|---|---|---|", *rows, ""))


def _row(fault: Fault, japanese: bool) -> str:
    told = ", ".join(_told(parameter) for parameter in fault.parameters)
    words = (fault.japanese, fault.japanese_outcome) if japanese else (fault.english, fault.outcome)
    return _line((f"`{fault.name}`", *words, told))


def _told(parameter: Parameter) -> str:
    return f"`{parameter.name}={parameter.usual}`"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def with_tables(page: str) -> str:
    """Return the page with its tables as they should be."""
    for japanese, (begin, end) in _MARKS.items():
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        page = f"{before}{begin}\n{tables(japanese=japanese)}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
