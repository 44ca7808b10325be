"""Was the caller understood? Judged from tool arguments and the row written, never from spoken words.

Knows the script's expectations; does not know how the call went over the wire.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from kaiwa.apps.demo.script import Expected, Like, Moment, Named, Script, ToolExpectation


class ObservedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call as the server showed it. `line_id` is the line after which it was made."""

    line_id: str
    name: str
    arguments: str
    output: str | None = None


class Misunderstanding(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, and the line that carried the words."""

    line_id: str
    problem: str


def judge_call(script: Script, calls: Sequence[ObservedCall], today: date) -> list[Misunderstanding]:
    """Compare every line's expectations with the calls made after it, in the order of the script."""
    found: list[Misunderstanding] = []
    for line in script.lines:
        for expectation in line.expect:
            found += _judge_expectation(script, line.id, expectation, calls, today)
    return found


def judge_row(script: Script, row: Mapping[str, Any] | None, today: date) -> list[Misunderstanding]:
    """Compare the row in the database with the script's. `row` uses the script's key names."""
    if script.row is None:
        return []
    last = next((line.id for line in reversed(script.lines) if line.expect), script.lines[-1].id)
    if row is None:
        return [Misunderstanding(line_id=last, problem="no reservation was written")]
    wanted = {name: getattr(script.row, name) for name in script.row.__struct_fields__}
    return [
        Misunderstanding(
            line_id=last, problem=f"the row has {name} {row.get(name)!r}, not {shown(value, today)}"
        )
        for name, value in wanted.items()
        if not matches(value, row.get(name), today, script.timezone, ())
    ]


def _judge_expectation(
    script: Script, line_id: str, expectation: ToolExpectation, calls: Sequence[ObservedCall], today: date
) -> Iterable[Misunderstanding]:
    here = [call for call in calls if call.line_id == line_id and call.name == expectation.tool]
    if not here:
        made = ", ".join(call.name for call in calls if call.line_id == line_id) or "nothing"
        yield Misunderstanding(line_id=line_id, problem=f"{expectation.tool} was not called, but {made}")
        return
    try:
        given = json.loads(here[-1].arguments)
    except json.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        yield Misunderstanding(
            line_id=line_id, problem=f"{expectation.tool} got arguments that are no object"
        )
        return
    outputs = [call.output for call in calls if call.output is not None]
    for name, value in expectation.arguments.items():
        if not matches(value, given.get(name), today, script.timezone, outputs):
            yield Misunderstanding(
                line_id=expectation.blame.get(name, line_id),
                problem=f"{expectation.tool} got {name} {given.get(name)!r}, not {shown(value, today)}",
            )


def matches(expected: Expected, given: Any, today: date, zone: str, outputs: Sequence[str]) -> bool:
    """Tell whether a value is what was expected. `outputs`: what tools have said so far, which name ids."""
    if isinstance(expected, Moment):
        return _local(given, zone) == expected.on(today)
    if isinstance(expected, Like):
        return isinstance(given, str) and re.search(expected.pattern, given) is not None
    if isinstance(expected, Named):
        return given is not None and given in _ids_of(expected.named, outputs)
    if isinstance(expected, str):
        return isinstance(given, str) and _plain(given) == _plain(expected)
    return given == expected


def _local(given: Any, zone: str) -> datetime | None:
    """Read an ISO 8601 time as wall-clock time in the zone; None when it is none."""
    if not isinstance(given, str):
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        return None
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) if moment.tzinfo else moment


def _ids_of(name: str, outputs: Sequence[str]) -> set[str]:
    ids: set[str] = set()
    for output in outputs:
        try:
            _collect_ids(json.loads(output), name, ids)
        except json.JSONDecodeError:
            continue
    return ids


def _collect_ids(value: Any, name: str, into: set[str]) -> None:
    if isinstance(value, list):
        for entry in value:  # pyright: ignore[reportUnknownVariableType]
            _collect_ids(entry, name, into)
    elif isinstance(value, dict):
        texts = [entry for entry in value.values() if isinstance(entry, str)]  # pyright: ignore[reportUnknownVariableType]
        if name in texts:
            into.update(texts)
        for entry in value.values():  # pyright: ignore[reportUnknownVariableType]
            _collect_ids(entry, name, into)


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def shown(value: Expected, today: date) -> str:
    if isinstance(value, Moment):
        return value.on(today).isoformat(timespec="minutes")
    if isinstance(value, Like):
        return f"something like {value.pattern}"
    return f"the id of {value.named}" if isinstance(value, Named) else repr(value)
