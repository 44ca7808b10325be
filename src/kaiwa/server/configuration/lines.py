"""On which line of a TOML text a key stands. Knows just so much of the syntax; what it says is `tomllib`'s.

A text that has passed `tomllib` is expected; of the few forms not looked for, no line is known.
"""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY: Final = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_QUOTES: Final = ('"' * 3, "'" * 3)


def lines_of(text: str) -> dict[Path, int]:
    """Return the line of every key, by its path; elements of arrays of tables are counted from 0."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if inside:
            inside = "" if inside in line else inside
            continue
        inside = next((one for one in _QUOTES if line.count(one) == 1), "")
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            path = (*table, *_parts(key[1]))
            found.setdefault(path, number)
            for depth in range(len(table) + 1, len(path)):
                found.setdefault(path[:depth], number)
    return found


def line_of(lines: dict[Path, int], path: Path) -> int:
    """Return the line of a key, or of the nearest thing around it; 0 when nothing is known."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
