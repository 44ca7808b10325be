"""How a demo call looks on a terminal and as JSON. Knows results; does not make calls."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kaiwa.cli.demo import DemoResult
from kaiwa.testing.call import Turn
from kaiwa.testing.caller import SpokenLine

WIDEST_BAR = 50
NARROWEST_BAR = 10
OTHER_COLUMNS = 66
MOMENT_COLUMNS, WHO_COLUMNS = 6, 12
STEPS = (
    ("end of turn decided", "stopped_s", "grey50"),
    ("response created", "response_created_s", "yellow"),
    ("first words", "first_text_s", "cyan"),
    ("first audio", "first_audio_s", "green"),
)


class SilentView:
    """Shows nothing: for `--json`."""

    def note(self, text: str) -> None:
        pass

    def line(self, moment_s: float, line: SpokenLine) -> None:
        pass

    def event(self, moment_s: float, event: dict[str, Any]) -> None:
        pass


class TerminalView:
    """Prints both sides of the talk and the tool calls as they happen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._now_s = 0.0

    def note(self, text: str) -> None:
        self._console.print(f"[dim]{escape(text)}[/dim]")

    def line(self, moment_s: float, line: SpokenLine) -> None:
        self._now_s = moment_s
        self._print("[bold]caller says[/bold]", line.text)

    def event(self, moment_s: float, event: dict[str, Any]) -> None:
        self._now_s = moment_s
        kind = event["type"]
        if kind == "conversation.item.input_audio_transcription.completed":
            self._print("[blue]heard[/blue]", event["transcript"])
        elif kind == "response.output_audio_transcript.done":
            self._print("[green]agent[/green]", event["transcript"])
        elif kind == "response.output_text.done":
            self._print("[green]agent[/green]", event["text"])
        elif kind == "response.output_item.done" and event["item"]["type"] == "function_call":
            self._print("[magenta]tool[/magenta]", f"{event['item']['name']}({event['item']['arguments']})")
        elif kind == "conversation.item.added" and event["item"]["type"] == "function_call_output":
            self._print("[magenta]result[/magenta]", event["item"]["output"], whole=False)
        elif kind == "response.done" and event["response"].get("status") == "cancelled":
            self._print("[yellow]interrupted[/yellow]", "")
        elif kind == "error":
            self._print("[red]error[/red]", event["error"]["message"])

    def _print(self, who: str, text: str, *, whole: bool = True) -> None:
        """Print who and what under each other; what is not wanted whole gets one line."""
        what = Text(text, style="" if whole else "dim")
        if not whole:
            what.truncate(max(1, self._console.width - MOMENT_COLUMNS - WHO_COLUMNS - 2), overflow="ellipsis")
        row = Table.grid(padding=(0, 1))
        row.add_column(width=MOMENT_COLUMNS, justify="right", style="dim")
        row.add_column(width=WHO_COLUMNS)
        row.add_column(overflow="fold")
        row.add_row(f"{self._now_s:.2f}", who, what)
        self._console.print(row)


def print_result(console: Console, result: DemoResult, wav: str | None) -> None:
    console.print()
    console.print(waterfall_table(result, bar_width(console.width)))
    if result.row:
        console.print("[bold]Read back from the database[/bold]")
        console.print("  " + escape(json.dumps(result.row, ensure_ascii=False)))
    elif not result.database_seen:
        console.print("[dim]The server is not ours: its database was not read.[/dim]")
    if wav:
        console.print(f"[bold]The call in stereo[/bold] (caller left, agent right): {escape(wav)}")
    for one in result.misunderstandings:
        console.print(f"[bold red]Misunderstood at {escape(one.line_id)}:[/bold red] {escape(one.problem)}")
    if result.ok:
        console.print(f"[bold green]Understood, every turn.[/bold green] {result.wall_s:.0f} s in all.")


def bar_width(columns: int) -> int:
    return min(WIDEST_BAR, max(NARROWEST_BAR, columns - OTHER_COLUMNS))


def waterfall_table(result: DemoResult, width: int) -> Table:
    """One bar per turn, from the last sample of speech to the first audio of the answer."""
    longest_s = max((_span_s(turn) for turn in result.call.turns), default=0.0) or 1.0
    key = " ".join(f"[{colour}]█[/] {name}" for name, _, colour in STEPS)
    table = Table(
        title=f"From the last sample of speech: {key}", title_justify="left", box=None, padding=(0, 1)
    )
    for heading, justify in (("turn", "left"), ("", "left"), ("decided", "right"), ("then", "right")):
        table.add_column(heading, justify=justify)  # pyright: ignore[reportArgumentType]
    table.add_column("first audio", justify="right")
    table.add_column("recognised", justify="right")
    for turn in result.call.turns:
        table.add_row(
            escape(turn.line_id),
            _bar(turn, longest_s, width),
            _ms(turn.since_speech_ms(turn.stopped_s)),
            _ms(turn.decided_to_audio_ms, "+"),
            _ms(turn.since_speech_ms(turn.first_audio_s)),
            _ms(turn.since_speech_ms(turn.transcribed_s)),
        )
    return table


def _span_s(turn: Turn) -> float:
    return max(0.0, (turn.first_audio_s or turn.speech_end_s) - turn.speech_end_s)


def _bar(turn: Turn, longest_s: float, width: int) -> Text:
    bar = Text()
    drawn = 0
    for _, name, colour in STEPS:
        moment_s: float | None = getattr(turn, name)
        if moment_s is None:
            continue
        end = round(max(0.0, moment_s - turn.speech_end_s) / longest_s * width)
        bar.append("█" * max(0, end - drawn), style=colour)
        drawn = max(drawn, end)
    return bar


def _ms(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{sign}{value:.0f} ms"


def result_as_json(result: DemoResult, wav: str | None) -> str:
    """One JSON document with everything a machine may want to judge again."""
    document = {
        "ok": result.ok,
        "script": result.script.name,
        "language": result.script.language,
        "today": result.today.isoformat(),
        "wall_s": round(result.wall_s, 2),
        "wav": wav,
        "row": result.row,
        "misunderstandings": [
            {"line_id": one.line_id, "problem": one.problem} for one in result.misunderstandings
        ],
        **result.call.as_json(),
    }
    return json.dumps(document, ensure_ascii=False, indent=1)
