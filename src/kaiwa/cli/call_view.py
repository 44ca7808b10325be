"""How simulated calls look on a terminal, in the language of whoever reads. Knows results; makes no calls."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kaiwa.testing.callers import Check, LoadReport, Performance, Scenario
from kaiwa.testing.callers.judging import failed
from kaiwa.testing.callers.load import percentiles
from kaiwa.testing.callers.scenario import Step

_WORDS = {
    "en": {
        "check": "check",
        "wanted": "wanted",
        "found": "found",
        "passed": "Everything as wanted.",
        "failed": "{n} of {all} not as wanted.",
        "calls": "calls",
        "talking": "talking",
        "refused": "refused",
        "ok": "as wanted",
        "not_seen": "not seen",
    },
    "ja": {
        "check": "項目",
        "wanted": "期待",
        "found": "結果",
        "passed": "すべて期待どおりです。",
        "failed": "{all}件中{n}件が期待と異なります。",
        "calls": "通話",
        "talking": "通話中",
        "refused": "接続拒否",
        "ok": "期待どおり",
        "not_seen": "未確認",
    },
}
_MARKS = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[dim]–[/dim]"}


def words_for(language: str | None) -> dict[str, str]:
    """Return the words for a language; None: that of the terminal's locale."""
    chosen = language or os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    return _WORDS["ja" if chosen.startswith("ja") else "en"]


class CallPrinter:
    """Prints the steps of the caller and what the agent says, as they happen."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, moment_s: float, step: Step, told: str) -> None:
        self._line(moment_s, "caller", told if step.action == "say" else f"({step.action}) {told}")

    def event(self, moment_s: float, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "conversation.item.input_audio_transcription.completed":
            self._line(moment_s, "heard", event["transcript"])
        elif kind in ("response.output_audio_transcript.done", "response.output_text.done"):
            self._line(moment_s, "agent", event.get("transcript") or event.get("text") or "")
        elif kind == "response.output_item.done" and event["item"]["type"] == "function_call":
            self._line(moment_s, "tool", f"{event['item']['name']}({event['item']['arguments']})")
        elif kind == "error":
            self._line(moment_s, "error", event["error"]["message"])

    def _line(self, moment_s: float, who: str, what: str) -> None:
        self._console.print(f"[dim]{moment_s:6.2f}[/dim] [bold]{who:<7}[/bold] {escape(what)}")


def print_checks(
    console: Console, scenario: Scenario, done: Performance, checks: Sequence[Check], words: dict[str, str]
) -> None:
    table = Table(title=f"{escape(scenario.name)}  {done.whole_s:.1f} s", title_justify="left", box=None)
    for heading in ("", words["check"], words["wanted"], words["found"]):
        table.add_column(heading, overflow="fold")
    for check in checks:
        found = check.found if check.ok is not None else words["not_seen"]
        table.add_row(_MARKS[check.ok], escape(check.name), escape(check.wanted), escape(found))
    console.print(table)
    wrong = len(failed(checks))
    text = words["failed"].format(n=wrong, all=len(checks)) if wrong else words["passed"]
    console.print(f"[bold {'red' if wrong else 'green'}]{text}[/]")


def print_load(console: Console, report: LoadReport, words: dict[str, str]) -> None:
    console.print(
        f"{report.callers} × {words['calls']}: {report.calls}, {words['ok']} {report.passed},"
        f" {words['refused']} {report.refused}"
    )
    table = Table(box=None)
    for heading in ("", "p50", "p95", "p99", "max", "n"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, values in report.figures().items():
        known = percentiles(values)
        table.add_row(name, *(f"{known[key]:.0f}" for key in ("p50", "p95", "p99", "max")), f"{len(values)}")
    console.print(table)
    for name, count in report.failures.most_common():
        console.print(f"  [red]✗[/red] {escape(name)}: {count}")


def progress_line(for_s: float, words: dict[str, str]) -> Callable[[LoadReport], None]:
    """Return what writes one live line to the terminal, at most five times a second; elsewhere nothing."""
    began_s, last_s = time.monotonic(), 0.0

    def show(report: LoadReport) -> None:
        nonlocal last_s
        now = time.monotonic()
        if not sys.stderr.isatty() or now - last_s < 0.2:
            return
        last_s = now
        audio = f"  p95 {percentiles(report.first_audio_ms)['p95']:.0f} ms" if report.first_audio_ms else ""
        line = (
            f"\r{now - began_s:5.0f}/{for_s:.0f} s  {words['talking']} {report.talking}"
            f"  {words['calls']} {report.calls}  {words['ok']} {report.passed}"
            f"  {words['refused']} {report.refused}{audio}"
        )
        print(f"{line:<78}", end="", file=sys.stderr, flush=True)

    return show
