"""`python -m bench [PART ...]`: measure, print a table, write bench/latest.json."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, keep, load_now, machine

PARTS = (
    "core",
    "transport",
    "relay",
    "recognition",
    "voice",
    "slow_tool",
    "memory",
    "capacity",
    "library",
    "kill",
    "resume",
    "webrtc",
    "browser",
    "signalr",
    "gateway",
    "endurance",
    "callers",
    "cassette",
)


WIDE = 120  # columns: narrower, the table would cut its values


def run_part(name: str) -> list[Figure]:
    measure: Callable[[], list[Figure]] = import_module(f"bench.{name}").measure
    return measure()


def show(console: Console, figures: list[Figure]) -> None:
    table = Table(box=None, padding=(0, 2))
    for heading, justify in (("figure", "left"), ("value", "right"), ("unit", "left"), ("aim", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)
    table.add_column("note")
    for figure in figures:
        value = f"{figure.value:,.4g}" if abs(figure.value) < 1000 else f"{figure.value:,.0f}"
        table.add_row(
            figure.name,
            value if figure.kept else f"[red]{value}[/red]",
            figure.unit,
            figure.promise,
            figure.note,
        )
    console.print(table)


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"unknown part {unknown[0]}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, WIDE)
    command = " ".join(["python -m bench", *wanted])
    console.print(f"[bold]{machine()}[/bold]\n[dim]{command}   load {load_now():.2f}[/dim]")
    for name in wanted or PARTS:
        began_s = time.monotonic()
        console.print(f"\n[bold]{name}[/bold] …")
        figures = run_part(name)
        keep(name, figures)
        show(console, figures)
        console.print(f"[dim]{time.monotonic() - began_s:.0f} s, load {load_now():.2f}[/dim]")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
