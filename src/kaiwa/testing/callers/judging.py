"""Was the scenario fulfilled? Every expectation becomes a check with what was wanted and what was found.

Knows the record of a call and the rows of the store. Does not know how they were got.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from kaiwa.apps.demo.judge import matches, shown
from kaiwa.testing.call import Call, ToolUse, Turn
from kaiwa.testing.callers.performance import Performance
from kaiwa.testing.callers.scenario import RowWanted, Scenario, Times, ToolWanted, Wanted

Row = Mapping[str, Any]
_NOT_SEEN = "the store was not looked at"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation. `ok` None: it could not be seen from here, and counts for nothing."""

    name: str
    wanted: str
    found: str
    ok: bool | None


def judge(scenario: Scenario, done: Performance, rows: Sequence[Row] | None) -> list[Check]:
    """Return every check, in the order of the scenario's file. `rows` None: the store cannot be seen."""
    wanted, today = scenario.expect, done.began.astimezone(ZoneInfo(scenario.time_zone)).date()
    return [
        *_aborted(done),
        *_turns(wanted, done.call),
        *(_tool(tool, scenario, done.call, today) for tool in wanted.tool),
        *_no_tools(wanted, done.call),
        *_rows(wanted, scenario, rows, today),
        *_words(wanted, done.call),
        *_times(wanted.times, done),
        *_interruptions(wanted, done),
        _errors(wanted, done.call),
    ]


def failed(checks: Iterable[Check]) -> list[Check]:
    return [check for check in checks if check.ok is False]


def _aborted(done: Performance) -> Iterator[Check]:
    if done.aborted:
        yield Check(name="caller", wanted="it can go on", found=done.aborted, ok=False)


def _turns(wanted: Wanted, call: Call) -> Iterator[Check]:
    if not wanted.answers_every_turn:
        return
    silent = [turn.line_id for turn in call.turns if turn.problem or not _answered(turn)]
    told = f"no answer to {', '.join(silent)}" if silent else f"{len(call.turns)} answered"
    yield Check(name="turns", wanted="every turn is answered", found=told, ok=not silent)


def _answered(turn: Turn) -> bool:
    return turn.first_audio_s is not None or turn.first_text_s is not None or turn.interrupted


def _tool(wanted: ToolWanted, scenario: Scenario, call: Call, today: date) -> Check:
    made = [use for use in call.tools if use.name == wanted.name]
    if wanted.after is not None:
        made = [use for use in made if use.line_id == wanted.after]
    outputs = [use.output for use in call.tools if use.output is not None]
    fitting = [use for use in made if not _wrong(wanted, use, scenario, outputs, today)]
    ok = len(fitting) == wanted.times if wanted.times is not None else bool(fitting)
    asked = ", ".join(f"{name} {shown(value, today)}" for name, value in wanted.arguments.items())
    often = "" if wanted.times is None else f" ×{wanted.times}"
    if fitting or not made:
        found = f"called {len(fitting)} times" if made else _other_calls(call, wanted)
    else:
        found = "; ".join(_wrong(wanted, made[-1], scenario, outputs, today))
    return Check(
        name=f"tool {wanted.name}", wanted=f"called{often} with {asked or 'anything'}", found=found, ok=ok
    )


def _other_calls(call: Call, wanted: ToolWanted) -> str:
    others = [use.name for use in call.tools if wanted.after is None or use.line_id == wanted.after]
    return f"not called, but {', '.join(others) or 'nothing'}"


def _wrong(
    wanted: ToolWanted, use: ToolUse, scenario: Scenario, outputs: Sequence[str], today: date
) -> list[str]:
    try:
        given: Any = json.loads(use.arguments or "{}")
    except json.JSONDecodeError:
        return ["its arguments are no JSON"]
    if not isinstance(given, dict):
        return ["its arguments are no object"]
    return [
        f"{name} was {given.get(name)!r}"
        for name, value in wanted.arguments.items()
        if not matches(value, given.get(name), today, scenario.time_zone, outputs)
    ]


def _no_tools(wanted: Wanted, call: Call) -> Iterator[Check]:
    if wanted.no_tools:
        made = ", ".join(use.name for use in call.tools) or "none"
        yield Check(name="tools", wanted="none is called", found=made, ok=not call.tools)


def _rows(wanted: Wanted, scenario: Scenario, rows: Sequence[Row] | None, today: date) -> Iterator[Check]:
    if wanted.rows is not None:
        ok = None if rows is None else len(rows) == wanted.rows
        found = _NOT_SEEN if rows is None else f"{len(rows)}"
        yield Check(name="rows", wanted=f"{wanted.rows} made", found=found, ok=ok)
    for row in wanted.row:
        fields = {name: value for name in row.__struct_fields__ if (value := getattr(row, name)) is not None}
        told = ", ".join(f"{name} {shown(value, today)}" for name, value in fields.items())
        if rows is None:
            yield Check(name="row", wanted=told, found=_NOT_SEEN, ok=None)
            continue
        fitting = [one for one in rows if _fits(row, one, scenario, today)]
        newest = ", ".join(f"{name} {rows[-1].get(name)}" for name in fields) if rows else "none was made"
        yield Check(name="row", wanted=told, found="it is there" if fitting else newest, ok=bool(fitting))


def _fits(wanted: RowWanted, row: Row, scenario: Scenario, today: date) -> bool:
    fields = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    return all(
        value is None or matches(value, row.get(name), today, scenario.time_zone, ())
        for name, value in fields.items()
    )


def _words(wanted: Wanted, call: Call) -> Iterator[Check]:
    said = [turn.reply for turn in call.turns] + _greetings(call)
    heard = [turn.transcript for turn in call.turns]
    for name, patterns, texts in (("says", wanted.says, said), ("hears", wanted.hears, heard)):
        for pattern in patterns:
            found = any(re.search(pattern, text) for text in texts)
            yield Check(name=name, wanted=pattern, found="yes" if found else _told(texts), ok=found)
    if wanted.hears_nothing:
        words = _transcribed(call)
        yield Check(name="hears", wanted="nothing", found=_told(words), ok=not any(words))


def _transcribed(call: Call) -> list[str]:
    """Every text that the server wrote down as the caller's, turn or not."""
    kind = "conversation.item.input_audio_transcription.completed"
    return [
        event["transcript"] for _, way, event in call.events if way == "received" and event["type"] == kind
    ]


def _greetings(call: Call) -> list[str]:
    """What the agent said in whole, also before the caller's first turn."""
    kinds = {"response.output_audio_transcript.done": "transcript", "response.output_text.done": "text"}
    return [
        str(event.get(kinds[event["type"]], ""))
        for _, way, event in call.events
        if way == "received" and event["type"] in kinds
    ]


def _told(texts: Iterable[str]) -> str:
    whole = " / ".join(text for text in texts if text)
    return (whole if len(whole) <= 120 else f"{whole[:120]}…") or "nothing"


def _times(wanted: Times, done: Performance) -> Iterator[Check]:
    turns = done.call.turns
    if wanted.first_audio_ms is not None:
        yield _bound(
            "first audio", wanted.first_audio_ms, [turn.since_speech_ms(turn.first_audio_s) for turn in turns]
        )
    if wanted.first_text_ms is not None:
        yield _bound(
            "first text", wanted.first_text_ms, [turn.since_speech_ms(turn.first_text_s) for turn in turns]
        )
    if wanted.silence_after_interruption_ms is not None:
        yield _bound("silence after interruption", wanted.silence_after_interruption_ms, done.silences_ms)
    if wanted.whole_ms is not None:
        yield _bound("whole call", wanted.whole_ms, [round(done.whole_s * 1000, 1)])


def _bound(name: str, most_ms: int, measured: Sequence[float | None]) -> Check:
    """The slowest counts; where nothing was measured, nothing was kept."""
    known = [one for one in measured if one is not None]
    found = f"{max(known):.0f} ms at most, of {len(known)}" if known else "never"
    return Check(
        name=name, wanted=f"within {most_ms} ms", found=found, ok=bool(known) and max(known) <= most_ms
    )


def _interruptions(wanted: Wanted, done: Performance) -> Iterator[Check]:
    if wanted.interrupted is not None:
        cut = sum(turn.interrupted for turn in done.call.turns)
        ok = cut == wanted.interrupted
        yield Check(name="interrupted", wanted=f"{wanted.interrupted} answers", found=f"{cut}", ok=ok)


def _errors(wanted: Wanted, call: Call) -> Check:
    allowed = ", ".join(wanted.errors)
    codes = [str(error.get("code") or error.get("type")) for error in call.errors]
    others = [code for code in codes if code not in wanted.errors]
    told = f"none but {allowed}" if allowed else "none"
    return Check(name="errors", wanted=told, found=", ".join(others) or "none", ok=not others)
