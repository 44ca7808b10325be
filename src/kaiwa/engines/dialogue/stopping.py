"""What a caller wants stopped of what runs, and how the answer sounds. Stops nothing itself."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from kaiwa.engines.dialogue.intent import best_wish
from kaiwa.engines.dialogue.learned import parsed
from kaiwa.engines.dialogue.phrases import joined, phrase
from kaiwa.engines.dialogue.results import is_error
from kaiwa.engines.dialogue.small import purpose
from kaiwa.engines.dialogue.state import Call, State
from kaiwa.engines.dialogue.text import normalize
from kaiwa.events.items import FunctionCall, Item
from kaiwa.events.tools import STOP_TOOL_CALL, ToolSpec

_STOP = re.compile(
    r"(?:を|は)?(?:取りやめ|とりやめ|やめ|止め|とめ|キャンセル|中止|中断|取り消|ストップ)(?:に)?(?:し)?(?:て|ます|たい)?(?:ください|下さい|お願いします)?|もういいです?|もう結構です?"
    r"|\b(?:please )?(?:stop|cancel|abort|quit|never ?mind|forget (?:it|that|about))\b",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"やっぱり?|やはり|それ|これ|あれ|今の|いまの|すみません|もう|\b(?:that|it|this|please|actually|sorry)\b",
    re.IGNORECASE,
)
_ALL = re.compile(r"全部|ぜんぶ|すべて|全て|\ball\b|\beverything\b", re.IGNORECASE)


def stoppable(specs: Sequence[ToolSpec], history: Sequence[Item]) -> tuple[str, ...]:
    """Return the names of the tools whose running calls may be stopped, or were stopped before."""
    names: list[str] = []
    for spec in specs:
        if spec.name == STOP_TOOL_CALL:
            name = cast("dict[str, Any]", spec.parameters.get("properties", {})).get("name", {})
            names += name.get("enum", ())
    for item in history:
        if isinstance(item, FunctionCall) and item.name == STOP_TOOL_CALL:
            given = parsed(item.arguments)
            names.append(str(cast("dict[str, Any]", given).get("name")) if isinstance(given, dict) else "")
    return tuple(names)


def wanted(state: State, text: str) -> tuple[str, ...]:
    """Return the names of the running tools that the words want stopped."""
    plain = normalize(text)
    running = [call.name for call in state.running() if call.name in state.stoppable]
    if not running or not _STOP.search(plain):
        return ()
    names = tuple(dict.fromkeys(running))
    if _ALL.search(plain):
        return names
    tools = tuple(tool for tool in state.tools if tool.name in names)
    rest = _POINTING.sub(" ", _STOP.sub(" ", plain)).strip(" 、。,.!?！？")
    if rest and (named := best_wish(rest, tools)) is not None:
        return (named.tool.name,)
    if not rest and state.goal is None:
        return names
    meant = best_wish(plain, state.tools)
    if state.goal is not None or (meant is not None and meant.tool.changes):
        return ()  # what is being arranged, or what was booked before, is meant
    return names


def calls(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((STOP_TOOL_CALL, json.dumps({"name": name})) for name in names)


def was_stopped(output: Any) -> bool:
    """True for the output of a call that was stopped: there is nothing to tell of it."""
    return isinstance(output, dict) and cast("dict[str, Any]", output).get("stopped") is True


def told(state: State, results: Sequence[Call]) -> str:
    """Return the sentence for attempts to stop."""
    done = [
        state.by_name.get(str(call.arguments.get("name"))) for call in results if not is_error(call.output)
    ]
    tasks = [purpose(tool, state.language) for tool in done if tool is not None]
    if not tasks:
        return phrase(state.language, "idle")
    return phrase(state.language, "stopped", tasks=joined(list(dict.fromkeys(tasks)), state.language))
