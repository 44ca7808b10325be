# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Answers that need no tool: greetings, thanks, what can be done, what the engine is."""

from __future__ import annotations

import re

from kaiwa.engines.dialogue.lexicon import TOPICS, label_ja
from kaiwa.engines.dialogue.phrases import joined, phrase
from kaiwa.engines.dialogue.results import action_noun
from kaiwa.engines.dialogue.schema import Tool
from kaiwa.engines.dialogue.state import State
from kaiwa.engines.dialogue.text import is_japanese, name_tokens

_ACTION_JA = {
    "check": "空き状況の確認",
    "list": "一覧のご案内",
    "status": "状況の確認",
    "search": "検索",
    "convert": "換算",
    "get": "ご案内",
}


def greeting(state: State) -> str:
    """Return the opening words: the instructions' own, else the shop's, the persona's or a plain one."""
    persona = state.persona
    if persona.greeting:
        return persona.greeting
    if persona.shop and is_japanese(persona.shop) == (state.language == "ja"):
        return phrase(state.language, "hello_shop", shop=persona.shop)
    if persona.name:
        return phrase(state.language, "hello_name", name=persona.name)
    return phrase(state.language, "hello")


def reply(state: State) -> str:
    """Return the answer to plain talk, or an honest word about what this engine is."""
    language, turn = state.language, state.turn
    kind = turn.small if turn is not None else None
    if turn is None:
        return phrase(language, "more") if state.last_said else greeting(state)
    if kind == "running" or (state.running() and not turn.wished and kind is None):
        return running(state)
    if kind == "greeting":
        return greeting(state)
    if kind == "thanks":
        return phrase(language, "thanks")
    if kind == "goodbye":
        return phrase(language, "bye")
    if kind == "repeat":
        return phrase(language, "nothing")
    if kind == "abilities":
        return _join(language, abilities(state), phrase(language, "help_with"))
    if kind == "identity":
        name = state.persona.name
        named = "" if not name else f"{name}、" if language == "ja" else f"{name}, "
        return _join(language, phrase(language, "identity", name=named), abilities(state))
    return _join(language, phrase(language, "honest"), abilities(state))


def running(state: State) -> str:
    """Say which calls have not come back yet."""
    tasks = [
        purpose(tool, state.language) for call in state.running() if (tool := state.by_name.get(call.name))
    ]
    if not tasks:
        return phrase(state.language, "idle")
    said = phrase(state.language, "running", tasks=joined(list(dict.fromkeys(tasks)), state.language))
    return _join(state.language, said, _so_far(state))


def _so_far(state: State) -> str:
    """Say how far the one call is that runs, in tens of percent."""
    known = [state.progress[call.call_id] for call in state.running() if call.call_id in state.progress]
    percent = round(known[0] * 10) * 10 if len(known) == 1 else 0
    return phrase(state.language, "so_far", percent=percent) if 0 < percent < 100 else ""


def abilities(state: State) -> str:
    tasks = list(dict.fromkeys(purpose(tool, state.language) for tool in state.tools))
    if not tasks:
        return phrase(state.language, "can_none")
    return phrase(state.language, "can", tools=joined(tasks[:5], state.language))


def purpose(tool: Tool, language: str) -> str:
    """Return in a few words what a tool is for: its description when short and in the language, else its name."""
    short = re.split(r"[。.\n(（]", tool.description)[0].strip()
    if short and is_japanese(short) == (language == "ja") and len(short) <= (24 if language == "ja" else 60):
        return _as_noun(short) if language == "ja" else short[:1].lower() + short[1:]
    if language == "en":
        return " ".join(name_tokens(tool.name))
    noun = next((TOPICS[topic].split()[0] for topic in TOPICS if topic in tool.topics), None) or label_ja(
        name_tokens(tool.name)
    )
    act = action_noun(tool, "ja") if tool.changes else _ACTION_JA.get(tool.action, "ご案内")
    return f"{noun}の{act}" if noun and noun not in act else act


def _as_noun(sentence: str) -> str:
    """Turn ピザを注文します into ピザの注文, and 天気を取得する into 天気."""
    sentence = re.sub(r"^(?:指定した|指定された|与えられた)", "", sentence)
    sentence = re.sub(
        r"を(?:返し?ます|返す|取得します|取得する|調べます|調べる|表示します|表示する)$", "", sentence
    )
    sentence = re.sub(
        r"を([\u4e00-\u9fffァ-ヶー]{2,})して(?:調べ|返し|取得し|表示し)ます$", r"の\1", sentence
    )
    return re.sub(r"を([\u4e00-\u9fffァ-ヶー]{2,})(?:します|する|できます)$", r"の\1", sentence)


def _join(language: str, *parts: str) -> str:
    return ("" if language == "ja" else " ").join(part for part in parts if part)
