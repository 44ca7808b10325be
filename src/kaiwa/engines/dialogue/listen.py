"""How an item of the history changes the state: words fill slots, outputs teach. Decides no answer."""

from __future__ import annotations

from typing import Any, cast

from kaiwa.engines.dialogue import stopping
from kaiwa.engines.dialogue.intent import Wish, primary_action, wishes
from kaiwa.engines.dialogue.learned import (
    entities_of,
    match_entity,
    options_for,
    parsed,
    provides,
    values_under,
)
from kaiwa.engines.dialogue.results import is_error
from kaiwa.engines.dialogue.schema import WHEN_ROLES, Slot, Tool
from kaiwa.engines.dialogue.state import Asked, Call, State, Turn
from kaiwa.engines.dialogue.talk import is_correction, is_no, is_request, is_yes, kind_of
from kaiwa.engines.dialogue.text import language_of
from kaiwa.engines.dialogue.validity import fits
from kaiwa.engines.dialogue.values import Said, said, value_for
from kaiwa.engines.dialogue.when import When, merged
from kaiwa.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Message,
    OutputAudio,
    OutputText,
)
from kaiwa.events.tools import STOP_TOOL_CALL

_FREE = ("query", "thing", "note", "person", "place")
_KEPT = ("person", "phone", "email")


def words_of(message: Message) -> str:
    """Return the text of a message: what was written, or the transcript of what was said."""
    parts: list[str] = []
    for part in message.content:
        if isinstance(part, (InputText, OutputText)):
            parts.append(part.text)
        elif isinstance(part, (InputAudio, OutputAudio)):
            parts.append(part.transcript or "")
    return " ".join(part for part in parts if part).strip()


def hear(state: State, text: str) -> None:
    """Take in one user turn."""
    asked, state.asked, state.confirmed = state.asked, None, None
    turn = Turn(text)
    state.turn = turn
    if not any(char.isalnum() for char in text):
        turn.unheard, state.asked = True, asked
        return
    state.language = state.persona.language or language_of(text) or state.language
    state.heard = [*state.heard[-20:], text]
    utterance = said(text, state.now.replace(second=0, microsecond=0))
    turn.small = kind_of(text)
    turn.stops = stopping.wanted(state, text)
    if turn.stops:
        state.asked = asked
        return
    if asked is not None and asked.kind == "slot" and asked.slot is not None and is_request(text):
        hear_wishes(state, utterance, asked)
    if not turn.wished:
        _fill(state, utterance, asked)
        hear_wishes(state, utterance, asked)
    else:
        _fill(state, utterance, None)
    _settle_question(state, utterance, asked)


def _settle_question(state: State, utterance: Said, asked: Asked | None) -> None:
    """Work out what a yes or a no means for the question asked."""
    turn = state.turn
    assert turn is not None, "a question is settled inside a turn"
    if asked is None:
        return
    if asked.kind == "confirm" and is_yes(_own_verb(utterance.text, asked)) and not turn.filled:
        state.confirmed, turn.agreed = asked, True
    elif asked.kind == "offer" and asked.tool is not None and is_yes(utterance.text):
        state.goal, turn.wished = asked.tool, True
    elif asked.kind == "offer" and is_no(utterance.text):
        turn.small = turn.small or "goodbye"
    elif (
        asked.kind in ("confirm", "change") and is_no(utterance.text) and not turn.filled and not turn.wished
    ):
        if asked.kind == "change" or "やめ" in utterance.text or "never" in utterance.text.lower():
            turn.dropped = True
            forget_goal(state)
        else:
            turn.refused = True
    elif state.goal is not None and not turn.filled and _gives_up(utterance.text, state.goal):
        turn.dropped = True
        forget_goal(state)
    if turn.unheard or (asked.kind == "slot" and turn.small == "repeat"):
        state.asked = asked


def _own_verb(text: str, asked: Asked) -> str:
    return (
        text
        if asked.tool is not None and asked.tool.action == "cancel"
        else text.replace("キャンセルして", "×").replace("cancel it", "×")
    )


def _gives_up(text: str, goal: Tool) -> bool:
    lowered = text.lower()
    hit = any(
        word in lowered
        for word in ("やめます", "やめて", "やめる", "やめたい", "never mind", "forget it", "結構です")
    )
    return hit or (goal.action != "cancel" and any(word in lowered for word in ("キャンセル", "cancel")))


def forget_goal(state: State) -> None:
    """Drop what is being arranged, with everything but who the caller is."""
    kept = {slot.name for tool in state.tools for slot in tool.slots if slot.role in _KEPT}
    state.values = {name: value for name, value in state.values.items() if name in kept}
    state.goal, state.when, state.reads = None, When(), []


def hear_wishes(state: State, utterance: Said, asked: Asked | None) -> None:
    """Take in the tools that the words ask for."""
    turn = state.turn
    assert turn is not None, "wishes are heard inside a turn"
    open_read = (
        asked is not None and asked.kind == "slot" and asked.tool is not None and not asked.tool.changes
    )
    answered = asked is not None and asked.slot is not None and asked.slot.name in turn.filled
    found = [wish for wish in wishes(utterance.text, state.tools) if _accepted(state, wish, asked, answered)]
    if not found:
        again = _again(state, utterance) if not (state.goal or open_read) else None
        found = [again] if again else []
    readers = [wish for wish in found if not wish.tool.changes]
    if readers or (not open_read and not answered):
        state.reads = []
    if found:
        state.recent, state.recent_when = set(), When()
    for wish in found:
        turn.wished = True
        if wish.tool.changes:
            if state.goal is not wish.tool:
                state.goal = wish.tool
        else:
            state.reads.append(wish)
        _fill_tool(
            state, said(wish.text, state.now.replace(second=0, microsecond=0)), wish.tool, None, fresh=True
        )
    if found:
        state.recent_when = utterance.when
        state.when = merged(state.when, utterance.when) if len(found) and utterance.when else state.when


def _accepted(state: State, wish: Wish, asked: Asked | None, answered: bool) -> bool:
    """Return whether a wish is a new request rather than an answer that happens to name one."""
    if wish.tool is state.goal:
        return False
    if asked is None:
        return wish.tool.changes or state.goal is None or is_request(wish.text)
    if asked.slot is not None and provides(wish.tool, asked.slot) and primary_action(wish.text) != "list":
        return False  # "the station shop, please" picks one of the shops just named
    if asked.kind in ("confirm", "offer") and is_yes(wish.text):
        return False
    if answered or (asked.slot is not None and asked.slot.role in _FREE):
        return (
            wish.score >= 3.0
            and is_request(wish.text)
            and not wish.text.endswith(("お願いします", "please", "です"))
        )
    return wish.score >= 2.5 and (is_request(wish.text) or wish.tool.changes) and not is_correction(wish.text)


def _again(state: State, utterance: Said) -> Wish | None:
    """Return the last reading tool when the words only give it another value: じゃあ大阪は？"""
    tool = state.last_read
    short = len(utterance.text) <= (16 if utterance.japanese else 40)
    if (
        tool is None
        or not short
        or not (utterance.text.rstrip("?？。").endswith("は") or "about" in utterance.text.lower())
    ):
        return None
    before = dict(state.values)
    _fill_tool(state, utterance, tool, None, fresh=True)
    return Wish(tool, 2.0, utterance.text) if state.values != before or utterance.when else None


def _fill(state: State, utterance: Said, asked: Asked | None) -> None:
    """Remember every value the words hold for any tool."""
    turn = state.turn
    assert turn is not None, "slots are filled inside a turn"
    slot = asked.slot if asked else None
    if utterance.when and not _spells_a_code(state, slot):
        before = state.when
        state.when = merged(before, utterance.when, asked_end=slot is not None and slot.side == "end")
        state.recent_when = merged(state.recent_when, utterance.when)
        if state.when != before:
            turn.filled.add("when")
        if slot is not None and slot.role in (*WHEN_ROLES, "days"):
            turn.filled.add(slot.name)
    done: set[tuple[str, str, str]] = set()
    for tool in state.tools:
        _fill_tool(state, utterance, tool, asked, fresh=False, done=done)


def _spells_a_code(state: State, slot: Slot | None) -> bool:
    """Return whether the answer asked for is a row of digits that must not be read as a date."""
    if slot is None or slot.role not in ("phone", "email", "code", "id"):
        return False
    return slot.role != "id" or not options_for(slot, state.entities, state.by_name)


def _fill_tool(
    state: State,
    utterance: Said,
    tool: Tool,
    asked: Asked | None,
    fresh: bool,
    done: set[tuple[str, str, str]] | None = None,
) -> None:
    turn = state.turn
    for slot in tool.slots:
        if slot.role in WHEN_ROLES:
            continue
        mark = (slot.name, slot.role, str(slot.options))
        if done is not None:
            if mark in done:
                continue
            done.add(mark)
        is_asked = asked is not None and asked.slot is not None and asked.slot.name == slot.name
        value = _heard_value(state, utterance, tool, slot, is_asked, fresh)
        if value is None:
            continue
        if turn is not None and (is_asked or state.values.get(slot.name) != value):
            turn.filled.add(slot.name)
        state.values[slot.name] = value
        state.recent.add(slot.name)


def _heard_value(
    state: State, utterance: Said, tool: Tool, slot: Slot, asked: bool, fresh: bool
) -> Any | None:
    if slot.role == "id" and (options := options_for(slot, state.entities, state.by_name)):
        entity = match_entity(utterance.text, options, asked)
        if entity is None:
            return None
        value = entity.fields.get(slot.name, entity.id)
        return value if fits(value, slot.schema) else None
    learned = state.seen.get(slot.name, []) if slot.role in ("thing", "place") else []
    provided = slot.role == "id" and any(not other.changes and not other.required for other in state.tools)
    if provided and not asked and not fresh:
        return None
    return value_for(slot, utterance, asked and not provided, learned, tool, fresh)


def note_call(state: State, item: FunctionCall) -> None:
    """Take in a call that was made."""
    arguments = parsed(item.arguments)
    known = cast(dict[str, Any], arguments) if isinstance(arguments, dict) else {}
    state.calls.append(Call(item.call_id if isinstance(item.call_id, str) else "", item.name, known))
    tool = state.by_name.get(item.name)
    if item.name == STOP_TOOL_CALL:
        state.turn = None
    if tool is None:
        return
    if tool.changes:
        if state.goal is tool:
            state.goal, state.finished = None, tool
        state.confirmed = None
    else:
        state.last_read = tool
        state.reads = [wish for wish in state.reads if wish.tool is not tool]
    for name, value in known.items():
        state.values.setdefault(name, value) if isinstance(value, str) and tool.slot(name) and _is_id(
            tool, name
        ) else None
    if state.turn is not None and not state.reads:
        state.turn = None


def _is_id(tool: Tool, name: str) -> bool:
    slot = tool.slot(name)
    return slot is not None and slot.role == "id"


def note_output(state: State, item: FunctionCallOutput) -> None:
    """Take in what a tool gave back, and look again at what the caller said before it was known."""
    call = next(
        (call for call in reversed(state.calls) if call.call_id == item.call_id and not call.done), None
    )
    if call is None:
        return
    call.output, call.done = parsed(item.output), True
    if call.name == STOP_TOOL_CALL:
        return
    if stopping.was_stopped(call.output):
        call.spoken = True
        return
    tool = state.by_name.get(call.name)
    failed = is_error(call.output)
    if tool is not None and tool.changes and state.finished is tool:
        if failed:
            state.goal = state.goal or tool
        elif state.goal is None:
            forget_goal(state)
        state.finished = None
    if failed:
        return
    state.entities += entities_of(call.output, call.name)
    state.entities = state.entities[-400:]
    values_under(call.output, state.seen)
    turn, state.turn = state.turn, None
    for text in state.heard[-6:]:
        utterance = said(text, state.now.replace(second=0, microsecond=0))
        for other in state.tools:
            for slot in other.slots:
                if slot.name not in state.values and slot.role in ("id", "thing", "place"):
                    _refill(state, utterance, other, slot)
    state.turn = turn


def _refill(state: State, utterance: Said, tool: Tool, slot: Slot) -> None:
    if slot.role == "id" and not options_for(slot, state.entities, state.by_name):
        return
    if slot.role != "id" and slot.name not in state.seen:
        return
    value = _heard_value(state, utterance, tool, slot, False, False)
    if value is not None:
        state.values[slot.name] = value


def fill_for(state: State, tool: Tool, text: str) -> None:
    """Fill a tool that is called on demand from the last words, taking them whole where nothing else fits."""
    utterance = said(text, state.now)
    _fill_tool(state, utterance, tool, None, fresh=True)
    for slot in tool.required:
        if slot.name not in state.values and slot.role in ("query", "thing", "note", "unknown", "place"):
            value = value_for(slot, utterance, True, [], tool, True)
            if value is not None:
                state.values[slot.name] = value
    state.recent |= set(state.values)
