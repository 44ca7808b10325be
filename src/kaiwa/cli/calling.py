"""From the options of `kaiwa call` to calls, and from their outcome to terminal, JSON and XML."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from kaiwa.cli.call import CallOptions, Watching, many_calls, one_call
from kaiwa.cli.call_view import CallPrinter, print_checks, print_load, progress_line, words_for
from kaiwa.errors import ConfigError
from kaiwa.testing.callers import bundled_scenarios, load_scenario
from kaiwa.testing.callers.judging import failed
from kaiwa.testing.callers.report import as_json, as_junit


@dataclass(frozen=True, slots=True)
class Told:
    """How the outcome is told. `language` None: that of the terminal."""

    as_json: bool
    junit: Path | None
    language: str | None


def list_scenarios() -> None:
    for name in bundled_scenarios():
        print(f"{name:<22} {load_scenario(name).name}")


def call_and_tell(options: CallOptions, callers: int, for_s: float, told: Told) -> bool:
    """Return whether all was as wanted. Raises ConfigError when it cannot be tried."""
    console = Console(highlight=False, soft_wrap=True)
    if callers > 1 or for_s:
        if told.junit:
            raise ConfigError("--junit", "a load test has no single checks.", "Use --json.")
        return _load(options, callers, for_s, told, console)
    printer = CallPrinter(console)
    watching = Watching() if told.as_json else Watching(printer.event, printer.step)
    done, checks = asyncio.run(one_call(options, watching))
    if told.junit:
        told.junit.write_text(as_junit(options.scenario, done, checks), encoding="utf-8")
    if told.as_json:
        print(as_json(options.scenario, done, checks))
    else:
        print_checks(console, options.scenario, done, checks, words_for(told.language))
    return not failed(checks)


def _load(options: CallOptions, callers: int, for_s: float, told: Told, console: Console) -> bool:
    words = words_for(told.language)
    report = asyncio.run(many_calls(options, callers, for_s, progress_line(for_s, words)))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if told.as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False, indent=1))
    else:
        print_load(console, report, words)
    return report.ok
