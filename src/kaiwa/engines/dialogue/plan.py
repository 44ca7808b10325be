"""What to do next: speak, ask, read back or call. A pure function of the state."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from kaiwa.engines.dialogue import small, stopping
from kaiwa.engines.dialogue.arguments import collect, value_of
from kaiwa.engines.dialogue.learned import Entity, options_for, provides
from kaiwa.engines.dialogue.phrases import joined, phrase, say, say_moment, say_period
from kaiwa.engines.dialogue.results import action_noun, groups, is_empty, is_error, slot_label, speak
from kaiwa.engines.dialogue.schema import WHEN_ROLES, Slot, Tool
from kaiwa.engines.dialogue.state import Asked, Call, State
from kaiwa.engines.dialogue.text import name_tokens
from kaiwa.engines.dialogue.validity import fits
from kaiwa.engines.dialogue.when import completed
from kaiwa.events.tools import STOP_TOOL_CALL


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer: text first, then calls; `asked` is the question the text puts.

    `confirmed`: the caller has just agreed to the call, as it was read back.
    """

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    asked: Asked | None = None
    confirmed: bool = False


def decide(state: State, may_call: bool = True) -> Decision:
    """Return the answer to everything not answered yet."""
    results = state.fresh_results()
    turn = state.turn
    if turn is not None and turn.stops and may_call:
        lead = _speak_results(state, results, None)
        return Decision(_join(state, lead, phrase(state.language, "ok")), stopping.calls(turn.stops))
    if turn is not None and not results:
        early = _early(state)
        if early is not None:
            return early
    if not may_call:
        return _without_tools(state, results)
    reads = _plan_reads(state)
    step = _plan_goal(state) if state.goal is not None and (reads is None or not reads.calls) else None
    lead = _speak_results(state, results, reads if reads is not None and reads.calls else step)
    if reads is not None and (reads.calls or step is None):
        return Decision(_join(state, lead, reads.text), reads.calls, reads.asked)
    if step is not None:
        return Decision(_join(state, lead, step.text), step.calls, step.asked)
    if results and turn is not None and turn.small == "running":
        return Decision(_join(state, lead, small.running(state)))
    if results:
        return _after_results(state, results, lead)
    return Decision(small.reply(state))


def _early(state: State) -> Decision | None:
    """Answer turns that need no plan: nothing heard, agreement, a change of mind, plain talk."""
    turn = state.turn
    assert turn is not None, "only a turn can be answered early"
    language = state.language
    if turn.unheard:
        return Decision(phrase(language, "unheard"), asked=state.asked)
    if turn.dropped:
        return Decision(phrase(language, "dropped"))
    if turn.refused:
        return Decision(phrase(language, "change"), asked=Asked("change", state.goal))
    if turn.agreed and state.confirmed is not None and state.confirmed.tool is not None:
        tool = state.confirmed.tool
        arguments, missing = _arguments_for(state, tool)
        if not missing and _dumped(arguments) == state.confirmed.arguments:
            return Decision(phrase(language, "do"), ((tool.name, _dumped(arguments)),), confirmed=True)
    if turn.small and not turn.wished and not turn.filled:
        if turn.small == "repeat" and state.last_said:
            return Decision(state.last_said, asked=state.asked)
        if turn.small in ("identity", "abilities", "running", "goodbye", "thanks"):
            follow = (
                _plan_goal(state)
                if state.goal is not None and turn.small in ("identity", "abilities")
                else None
            )
            if follow is None or follow.calls:
                return Decision(small.reply(state))
            return Decision(_join(state, small.reply(state), follow.text), asked=follow.asked)
    return None


def _arguments_for(state: State, goal: Tool) -> tuple[dict[str, Any], list[Slot]]:
    """A change takes only what was asked to be changed: the rest stays as it was."""
    return collect(state, goal, fresh_only=goal.action == "update")


def _without_tools(state: State, results: list[Call]) -> Decision:
    if results:
        return Decision(" ".join(_spoken(state, call) for call in results))
    return Decision(small.reply(state))


def _join(state: State, *parts: str) -> str:
    return ("" if state.language == "ja" else " ").join(part for part in parts if part)


def _dumped(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _spoken(state: State, call: Call) -> str:
    return speak(call.output, state.by_name.get(call.name), call.arguments, state.language)


def _speak_results(state: State, results: list[Call], step: Decision | None) -> str:
    """Say what came back. A list fetched only to resolve an id stays unsaid when the next step is a call."""
    attempts = [call for call in results if call.name == STOP_TOOL_CALL]
    said = [stopping.told(state, attempts)] if attempts else []
    for call in results:
        if call.name == STOP_TOOL_CALL:
            continue
        helper = step is not None and step.calls and not is_error(call.output) and not is_empty(call.output)
        if not helper:
            said.append(_spoken(state, call))
    return _join(state, *said)


def _after_results(state: State, results: list[Call], lead: str) -> Decision:
    """Close results with an offer: to book what was found free, or of other help."""
    if any(is_error(call.output) for call in results):
        return Decision(lead)
    call = results[-1]
    tool = state.by_name.get(call.name)
    if tool is not None and tool.checks and not is_empty(call.output):
        names = {slot.name for slot in tool.required}
        for other in state.tools:
            if other.changes and other.action == "create" and names & {slot.name for slot in other.slots}:
                return Decision(
                    _join(state, lead, phrase(state.language, "offer")), asked=Asked("offer", other)
                )
    return Decision(_join(state, lead, phrase(state.language, "more")))


# --- reading -----------------------------------------------------------------------------------------


def _plan_reads(state: State) -> Decision | None:
    """Call every reading tool asked for whose slots are there; ask for the first missing slot of another."""
    calls: list[tuple[str, str]] = []
    question: Decision | None = None
    slow = False
    for wish in state.reads:
        arguments, missing = collect(state, wish.tool, fresh_only=True)
        if not missing:
            calls += [(wish.tool.name, text) for text in _spread(state, wish.tool, arguments, wish.text)]
            slow = slow or wish.tool.slow
            continue
        fetch = _lister_call(state, missing)
        if fetch is not None:
            calls.append(fetch)
        elif question is None:
            question = ask(state, wish.tool, missing)
    if calls:
        started = phrase(state.language, "slow") if slow else ""
        quick = "" if slow and len(calls) == 1 else phrase(state.language, "look")
        return Decision(_join(state, quick, started), tuple(dict.fromkeys(calls))[:8])
    return question


def _spread(state: State, tool: Tool, arguments: dict[str, Any], text: str) -> list[str]:
    """Return one call, or one for each place when several were named: 東京と大阪の天気."""
    from kaiwa.engines.dialogue.values import places_in, said

    places = [slot for slot in tool.required if slot.role == "place"]
    if len(places) != 1 or len(places[0].path) > 1:
        return [_dumped(arguments)]
    named = places_in(said(text, state.now.replace(second=0, microsecond=0)))
    if len(named) < 2 or arguments.get(places[0].name) not in named:
        return [_dumped(arguments)]
    return [
        _dumped({**arguments, places[0].name: place}) for place in named[:4] if fits(place, places[0].schema)
    ]


def _lister_call(state: State, missing: list[Slot]) -> tuple[str, str] | None:
    """Return a call that fetches the options of a missing id, if a tool offers them and was not asked yet."""
    for slot in missing:
        if slot.role != "id" or options_for(slot, state.entities, state.by_name):
            continue
        for tool in state.tools:
            if (
                tool.changes
                or not provides(tool, slot)
                or any(call.name == tool.name for call in state.calls)
            ):
                continue
            arguments, unknown = collect(state, tool)
            if not unknown:
                return tool.name, _dumped(arguments)
    return None


# --- the goal ----------------------------------------------------------------------------------------


def _plan_goal(state: State) -> Decision:
    """Take the next step towards a change: fetch options, check, ask, read back."""
    goal, language = state.goal, state.language
    assert goal is not None, "a step needs a goal"
    update = goal.action == "update"
    arguments, missing = _arguments_for(state, goal)
    waiting = [
        call
        for call in state.running()
        if (tool := state.by_name.get(call.name)) is not None and not tool.changes
    ]
    fetch = _lister_call(state, missing)
    if fetch is not None:
        return Decision(phrase(language, "look_goal"), (fetch,))
    checked = _check(state, goal)
    if isinstance(checked, tuple):
        lead = _period_back(state, goal)
        return Decision(_join(state, lead, phrase(language, "look")), (checked,))
    if isinstance(checked, Call) and not checked.done:
        return Decision(phrase(language, "wait"))
    if isinstance(checked, Call) and (refusal := _refusal(state, goal, checked)) is not None:
        return refusal
    failed = next(
        (call for call in state.fresh_results() if call.name == goal.name and is_error(call.output)), None
    )
    if failed is not None:
        return Decision("", asked=Asked("change", goal))
    if isinstance(checked, Call) and (choice := _open_choice(state, goal, checked)) is not None:
        return _ask_choice(state, goal, choice, checked)
    if missing:
        if waiting and missing[0].role == "id":
            return Decision(phrase(language, "wait"))
        return ask(state, goal, missing)
    if update and len(goal.slots) > len(goal.required) and len(arguments) <= len(goal.required):
        return Decision(phrase(language, "change"), asked=Asked("change", goal))
    return _read_back(state, goal, arguments)


def _check(state: State, goal: Tool) -> tuple[str, str] | Call | None:
    """Return the availability check to make, the one already made for these values, or None."""
    names = {slot.name for slot in goal.slots}
    roles = {(slot.role, slot.side) for slot in goal.slots}
    for tool in state.tools:
        if tool.changes or not tool.checks or not tool.required or goal.action != "create":
            continue
        shared = all(
            slot.name in names or (slot.role in WHEN_ROLES and (slot.role, slot.side) in roles)
            for slot in tool.required
        )
        arguments, missing = collect(state, tool)
        if not shared or missing:
            continue
        for call in reversed(state.calls):
            if call.name == tool.name and all(
                arguments.get(key) == value for key, value in call.arguments.items()
            ):
                return call
        return tool.name, _dumped(arguments)
    return None


def _refusal(state: State, goal: Tool, checked: Call) -> Decision | None:
    """Ask for something else when the check failed, found nothing, or has not what was chosen."""
    language = state.language
    fresh = checked in state.fresh_results()
    if is_error(checked.output):
        return Decision(
            "" if fresh else phrase(language, "error") + phrase(language, "retry"),
            asked=Asked("change", goal),
        )
    if is_empty(checked.output):
        lead = "" if fresh else phrase(language, "no_free")
        return Decision(_join(state, lead, phrase(language, "other")), asked=Asked("change", goal))
    for slot in goal.slots:
        kinds = groups(checked.output, slot.name)
        chosen = state.values.get(slot.name)
        if kinds and isinstance(chosen, str) and chosen not in kinds:
            gone = phrase(language, "no_option", value=say(chosen, language))
            listed = _options_text(state, slot, list(kinds))
            return Decision(_join(state, gone, listed), asked=Asked("slot", goal, slot))
    return None


def _open_choice(state: State, goal: Tool, checked: Call) -> Slot | None:
    """Return an unfilled slot for which the check found more than one kind."""
    for slot in goal.slots:
        unset = slot.role in ("choice", "thing", "id") and value_of(state, goal, slot) is None
        if unset and len(groups(checked.output, slot.name)) > 1:
            return slot
    return None


def _ask_choice(state: State, goal: Tool, slot: Slot, checked: Call) -> Decision:
    question = phrase(state.language, "which", label=slot_label(slot, state.language))
    if checked not in state.fresh_results():
        kinds: Counter[str] = groups(checked.output, slot.name)
        question = _options_text(state, slot, list(kinds))
    return Decision(question, asked=Asked("slot", goal, slot))


def _options_text(state: State, slot: Slot, options: list[Any]) -> str:
    shown = joined([say(option, state.language) for option in options[:6]], state.language)
    return phrase(state.language, "options", label=slot_label(slot, state.language), options=shown)


def _period_back(state: State, goal: Tool) -> str:
    """Say back place and time before checking them."""
    parts = [say_slot(state, goal, slot) for slot in goal.slots if slot.role == "id"]
    period = _period(state, goal)
    said = [part for part in (*parts, period) if part]
    if not said:
        return ""
    return phrase(
        state.language, "repeat_lead", summary=("、" if state.language == "ja" else ", ").join(said)
    )


def _period(state: State, tool: Tool) -> str:
    slots = [
        slot for slot in tool.slots if slot.role in WHEN_ROLES and value_of(state, tool, slot) is not None
    ]
    when = completed(state.when)
    if not slots:
        return ""
    timed = any(
        slot.role in ("time", "datetime") or "T" in str(value_of(state, tool, slot)) for slot in slots
    )
    return say_period(when, state.language, timed, any(slot.side == "end" for slot in slots))


def say_slot(state: State, tool: Tool, slot: Slot) -> str:
    """Return a filled slot as it is said; ids by their label."""
    value = value_of(state, tool, slot)
    if value is None:
        return ""
    if slot.role == "id":
        entity = _entity(state, slot, value)
        return (
            entity.label
            if entity is not None and entity.label != str(value)
            else _labelled(slot, value, state.language)
        )
    if slot.role == "person":
        return f"{value}様" if state.language == "ja" else f"for {value}"
    if slot.role in ("number", "days"):
        return _counted(slot, value, state.language)
    if slot.role == "flag":
        label = slot_label(slot, state.language)
        return (
            f"{label}{'あり' if value else 'なし'}"
            if state.language == "ja"
            else f"{'with' if value else 'without'} {label}"
        )
    return (
        _labelled(slot, value, state.language)
        if slot.role in ("code", "phone")
        else say(value, state.language)
    )


def _labelled(slot: Slot, value: Any, language: str) -> str:
    return (
        f"{slot_label(slot, language)}{value}"
        if language == "ja"
        else f"{slot_label(slot, language)} {value}"
    )


def _entity(state: State, slot: Slot, value: Any) -> Entity | None:
    options = options_for(slot, state.entities, state.by_name)
    return next((entity for entity in options if entity.fields.get(slot.name, entity.id) == value), None)


def _counted(slot: Slot, value: Any, language: str) -> str:
    tokens = set(name_tokens(slot.name))
    number = say(value, language)
    if slot.role == "days":
        return f"{number}泊" if language == "ja" else f"{number} night{'s' if value != 1 else ''}"
    if tokens & {"people", "party", "guests", "persons", "seats", "passengers"}:
        return f"{number}名様" if language == "ja" else f"{number} {'people' if value != 1 else 'person'}"
    if tokens & {"quantity", "qty", "count", "copies"}:
        return f"数量{number}" if language == "ja" else f"quantity {number}"
    return _labelled(slot, number, language)


def _read_back(state: State, goal: Tool, arguments: dict[str, Any]) -> Decision:
    """Say every value and ask whether to go ahead."""
    parts: list[str] = []
    timed = False
    for slot in goal.slots:
        if slot.role in WHEN_ROLES:
            if not timed and (period := _period(state, goal)):
                parts.append(period)
            timed = True
        elif said := say_slot(state, goal, slot):
            parts.append(said)
    action = action_noun(goal, state.language)
    verb = action if state.language == "ja" else f"make the {action}"
    summary = ("、" if state.language == "ja" else ", ").join(parts)
    text = (
        phrase(state.language, "confirm", summary=summary, action=verb)
        if parts
        else phrase(state.language, "confirm_bare", action=verb)
    )
    return Decision(text, asked=Asked("confirm", goal, None, _dumped(arguments)))


# --- questions ---------------------------------------------------------------------------------------


def ask(state: State, tool: Tool, missing: list[Slot]) -> Decision:
    """Ask for the next missing slot; places and times first, the caller's name last."""
    late = ("person", "phone", "email", "note")
    slot = next((slot for slot in missing if slot.role not in late), missing[0])
    return Decision(_question(state, tool, slot, missing), asked=Asked("slot", tool, slot))


def _question(state: State, tool: Tool, slot: Slot, missing: list[Slot]) -> str:
    language = state.language
    label = slot_label(slot, language)
    if slot.role in WHEN_ROLES:
        return _ask_when(state, tool, slot)
    if slot.role == "id" and (options := options_for(slot, state.entities, state.by_name)):
        shown = any(call.name == options[0].source for call in state.fresh_results())
        question = (
            phrase(language, "which", label=label)
            if shown
            else _options_text(state, slot, [o.label for o in options])
        )
        times = [other for other in missing if other.role in WHEN_ROLES]
        if times:
            question = _join(
                state, question, phrase(language, "ask_times_too" if state.when.date else "ask_when_too")
            )
        return question
    if slot.role == "choice":
        return _options_text(state, slot, list(slot.options))
    if slot.role == "number":
        tokens = set(name_tokens(slot.name))
        people = tokens & {"people", "party", "guests", "persons", "seats", "passengers", "adults"}
        things = tokens & {"quantity", "qty", "count", "copies"}
        return phrase(language, "people" if people else "quantity" if things else "number", label=label)
    keys = {
        "days": "ask_days",
        "person": "person",
        "phone": "phone",
        "email": "email",
        "place": "place",
        "query": "query",
        "flag": "flag",
    }
    return phrase(language, keys.get(slot.role, "tell"), label=label)


def _ask_when(state: State, tool: Tool, slot: Slot) -> str:
    """Ask for the part of the time that is missing."""
    language, when = state.language, completed(state.when)
    both = any(other.side == "end" and other.role in ("time", "datetime") for other in tool.slots)
    if slot.side == "start":
        if slot.role != "time" and when.date is None:
            return phrase(language, "ask_date")
        key = "ask_times" if both and when.end_time is None else "ask_start" if both else "ask_time"
        day = say_moment(when.date, None, language) if when.date else ""
        just_said = state.turn is not None and "when" in state.turn.filled
        lead = phrase(language, "repeat_lead", summary=day) if day and just_said else ""
        return _join(state, lead, phrase(language, key))
    return phrase(language, "ask_end_date" if slot.role in ("date", "either") else "ask_end")
