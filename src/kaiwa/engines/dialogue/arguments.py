"""Arguments of a call from what is known: every value in the form its schema wants. Asks nothing."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any, cast

from kaiwa.engines.dialogue.learned import options_for
from kaiwa.engines.dialogue.schema import WHEN_ROLES, Slot, Tool
from kaiwa.engines.dialogue.state import State
from kaiwa.engines.dialogue.text import name_tokens
from kaiwa.engines.dialogue.validity import fits
from kaiwa.engines.dialogue.when import When, completed


def collect(state: State, tool: Tool, fresh_only: bool = False) -> tuple[dict[str, Any], list[Slot]]:
    """Return the arguments known for a tool and the required slots still missing, in the schema's order."""
    arguments: dict[str, Any] = {}
    missing: list[Slot] = []
    for slot in tool.slots:
        recent = slot.required or not fresh_only
        value = value_of(state, tool, slot, recent)
        if value is None:
            if slot.required:
                missing.append(slot)
            continue
        target = arguments
        for part in slot.path[:-1]:
            target = target.setdefault(part, {})
        target[slot.name] = value
    _mend_objects(arguments, tool, {slot.path for slot in missing})
    return arguments, missing


def _mend_objects(arguments: dict[str, Any], tool: Tool, missing: set[tuple[str, ...]]) -> None:
    """Drop optional objects that lack a part they need, and give required ones a place."""
    for slot in tool.slots:
        if slot.whole and slot.path not in missing and _at(arguments, slot.path) is None:
            parent = _at(arguments, slot.whole[:-1])
            if isinstance(parent, dict):
                cast(dict[str, Any], parent).pop(slot.whole[-1], None)
    for path in tool.objects:
        target = arguments
        for part in path:
            target = target.setdefault(part, {})


def _at(arguments: dict[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = arguments
    for part in path:
        found = cast(dict[str, Any], found).get(part) if isinstance(found, dict) else None
    return found


def value_of(state: State, tool: Tool, slot: Slot, from_memory: bool = True) -> Any | None:
    """Return what is known for a slot, in the form its schema wants."""
    when = completed(state.when if from_memory else state.recent_when)
    if slot.role in WHEN_ROLES:
        value: Any = when_value(when, slot, tool, state.now)
    elif slot.role == "days" and when.days is not None:
        value = when.days
    elif slot.role == "number" and slot.name not in state.values and when.minutes is not None:
        tokens = set(name_tokens(slot.name))
        value = (
            when.minutes
            if tokens & {"minutes", "duration"}
            else when.minutes // 60
            if "hours" in tokens
            else None
        )
    elif len(slot.options) == 1 and slot.required and slot.schema.get("const") is not None:
        value = slot.options[0]
    elif from_memory or slot.name in state.recent:
        value = state.values.get(slot.name)
        if (
            value is None
            and slot.role in ("id", "code")
            and slot.required
            and tool.action in ("cancel", "update", "status")
        ):
            value = _made_before(state, slot)
    else:
        value = None
    return value if value is not None and fits(value, slot.schema) else None


def _made_before(state: State, slot: Slot) -> Any | None:
    """Return the id of what this conversation itself made, when there is just one."""
    made = {tool.name for tool in state.tools if tool.changes}
    options = [entity for entity in options_for(slot, state.entities, state.by_name) if entity.source in made]
    return options[-1].fields.get(slot.name, options[-1].id) if options else None


def when_value(when: When, slot: Slot, tool: Tool, now: datetime) -> str | None:
    """Return a date, time or moment of the period as ISO 8601, or None while a part is missing."""
    end = slot.side == "end"
    day: date | None = when.end_date if end else when.date
    clock: time | None = when.end_time if end else when.time
    if slot.role == "time":
        return (
            clock.strftime("%H:%M:%S" if slot.schema.get("format") == "time" else "%H:%M") if clock else None
        )
    if day is None:
        return None
    if slot.role == "date" or (slot.role == "either" and clock is None):
        return day.isoformat()
    separate = any(other.role == "time" and other.side == slot.side for other in tool.slots)
    if slot.role == "either" and (separate or not _takes_time(slot, tool)):
        return day.isoformat()
    if clock is None:
        return None
    return datetime.combine(day, clock, tzinfo=now.tzinfo).isoformat()


def _takes_time(slot: Slot, tool: Tool) -> bool:
    """Return whether an undeclared date may carry a time: only the two ends of a period may."""
    return any(other.role == slot.role and other.side != slot.side for other in tool.slots)
