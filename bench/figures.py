"""Figures and the arithmetic behind them. Knows names and numbers; measures nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LATEST = Path(__file__).parent / "latest.json"


@dataclass(frozen=True)
class Figure:
    """One number under a flat name. `aim` is what the project promises itself; lower is better.

    Where higher is better, `least` is the promise instead.
    """

    name: str
    value: float
    unit: str
    aim: float | None = None
    note: str = ""
    least: float | None = None

    @property
    def promise(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        return "" if self.aim is None else f"≤ {self.aim:g}"

    @property
    def kept(self) -> bool:
        enough = self.least is None or self.value >= self.least
        return enough and (self.aim is None or self.value <= self.aim)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank). Values must not be empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * (len(ordered) - 1))))]


def p50_p95(
    name: str, values: Sequence[float], unit: str, aims: tuple[float, float] | None = None
) -> list[Figure]:
    note = f"n={len(values)}"
    return [
        Figure(f"{name}.p50", round(quantile(values, 0.5), 2), unit, aims[0] if aims else None, note),
        Figure(f"{name}.p95", round(quantile(values, 0.95), 2), unit, aims[1] if aims else None, note),
    ]


def machine() -> str:
    """One line about the machine."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(names) or 1
    python = platform.python_version()
    return f"{names[0] if names else model}, {cores} cores, {platform.system()}, Python {python}"


def load_now() -> float:
    """The load average of the last minute: figures taken on a busy machine are worth less."""
    try:
        return float(Path("/proc/loadavg").read_text().split()[0])
    except OSError:
        return 0.0


def keep(part: str, figures: Sequence[Figure], path: Path = LATEST) -> None:
    """Put a part's figures in the place of its old ones in the flat file; those of other parts stay."""
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    known = {name: value for name, value in known.items() if not name.startswith(f"{part}.")}
    known |= {figure.name: figure.value for figure in figures}
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
