# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Which tool an utterance asks for, by what tools say of themselves. Knows no slot values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kaiwa.engines.dialogue.lexicon import ACTIONS, TOPICS, notions, spoken_forms
from kaiwa.engines.dialogue.schema import Tool
from kaiwa.engines.dialogue.talk import is_request
from kaiwa.engines.dialogue.text import heard_ratio, is_japanese, normalize, reading, skeleton

THRESHOLD = 2.0
_WANTS = re.compile(
    r"(?:予約|よやく|注文|借り|かり|取り|申し?込み?|手配|頼み|購入|登録|配車|呼ん?)[^、。]{0,6}(?:たい|お願い|ほしい|欲しい|できますか|ください|で$)"
    r"|\b(?:i(?:'d| would) like to|i want to|i need to|can i|could i|please|let me|can you|could you)\b[^?.]*\b(?:book|reserve|rent|order|hire|borrow|make|buy|schedule)\b"
    r"|^(?:book|reserve|rent|order|hire)\b",
    re.IGNORECASE,
)
_LOOKS_UP = re.compile(
    r"予約(?:内容|番号|状況)?[をのはが]?[^、。]{0,6}(?:確認|調べ|照会|探し|忘れ|どうなって)(?!.*(?:空|あい))"
    r"|\b(?:look|find|check|forgot|forgotten|see|verify)\b[^?.]*\bmy\b[^?.]*\b(?:reservation|booking|appointment)s?\b",
    re.IGNORECASE,
)
_PRIORITY = ("cancel", "update", "status", "send", "check", "convert", "list", "pay", "create", "search")
_READERS = frozenset({"check", "list", "status", "search", "convert", "get"})
_SPLIT = re.compile(
    r"、|。|,|と、|それから|そして|あと|および|\band then\b|\band also\b|\band\b|\balso\b|(?<=て)(?=[^、。]{4,}(?:教え|調べ|検索))"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool an utterance asks for, how surely, and the words that ask."""

    tool: Tool
    score: float
    text: str


def primary_action(text: str) -> str | None:
    """Return what the caller wants done: undoing and changing outrank asking, wanting outranks looking."""
    acts = {notion for notion in notions(text) if notion in ACTIONS}
    if acts & {"cancel", "update"}:
        return "cancel" if "cancel" in acts else "update"
    if _LOOKS_UP.search(text):
        return "search"  # what is booked already, although it names booking
    if _WANTS.search(text) and not re.search(r"空いて|空き|空室|available|availability", text):
        return "create"
    if "status" in acts and acts & {"create"} and "status" not in notions(re.sub(r"予約|注文", "", text)):
        acts.discard("status")
    return next((action for action in _PRIORITY if action in acts), None)


def wishes(text: str, tools: tuple[Tool, ...]) -> list[Wish]:
    """Return the tools asked for: one, or several readers when the utterance holds several requests."""
    plain = normalize(text)
    best = best_wish(plain, tools)
    parts = [part.strip() for part in _SPLIT.split(plain) if part and len(part.strip()) > 2]
    if len(parts) < 2:
        return [best] if best else []
    found: list[Wish] = []
    for part in parts:
        wish = best_wish(part, tools)
        if wish and not wish.tool.changes and all(wish.tool is not other.tool for other in found):
            found.append(wish)
        elif found and wish is None and not is_request(part):
            found[-1] = Wish(found[-1].tool, found[-1].score, f"{found[-1].text}、{part}")
    if len(found) > 1 and (best is None or not best.tool.changes):
        return found
    return [best] if best else found


def best_wish(text: str, tools: tuple[Tool, ...]) -> Wish | None:
    ranked = sorted(((score(tool, text, tools), -i) for i, tool in enumerate(tools)), reverse=True)
    if not ranked or ranked[0][0] < THRESHOLD:
        return None
    return Wish(tools[-ranked[0][1]], ranked[0][0], text)


def score(tool: Tool, text: str, tools: tuple[Tool, ...]) -> float:
    """Return how well a tool fits an utterance; THRESHOLD and more is a fit."""
    said = notions(text)
    action = primary_action(text)
    topics = {notion for notion in said if notion in TOPICS}
    total = _action_score(tool, action, text)
    about = 0.0
    for topic in topics & tool.topics:
        about += 2.5 if sum(topic in other.topics for other in tools) == 1 else 1.5
    total += min(about, 4.0) + min(_wording_score(tool, text, tools), 3.0)
    if about == 0 and total < 3.0 and topics - tool.topics and tool.action != "search":
        total -= 1.0
    return total + _option_score(tool, text)


def _option_score(tool: Tool, text: str) -> float:
    """Return the weight of a choice named in a request: マルゲリータを二枚お願いします orders by itself."""
    if not tool.changes or not is_request(text):
        return 0.0
    named = [
        slot
        for slot in tool.slots
        if slot.role == "choice"
        and any(_says(text, form) for option in slot.options for form in spoken_forms(str(option)))
    ]
    return min(len(named) * 2.0, 3.0)


def _says(text: str, form: str) -> bool:
    if len(form) < 3:
        return False
    return (
        form in text
        if is_japanese(form)
        else re.search(rf"\b{re.escape(form)}s?\b", text, re.IGNORECASE) is not None
    )


def _action_score(tool: Tool, action: str | None, text: str) -> float:
    if action is None:
        return -0.5 if tool.changes and not is_request(text) else 0.0
    if action == tool.action:
        if action == "search" and not any(slot.role in ("query", "thing") for slot in tool.slots):
            return 1.0
        return 3.0
    if tool.action in ("cancel", "update") or action in ("cancel", "update"):
        return -4.0
    if tool.changes and action in _READERS:
        return -2.0
    if action in _READERS and tool.action in _READERS:
        return 1.0
    return 0.0


def _wording_score(tool: Tool, text: str, tools: tuple[Tool, ...]) -> float:
    lowered = text.lower()
    english = set(re.findall(r"[a-z]{4,}", lowered))
    english |= {word[:-1] for word in english if word.endswith("s")}
    total = 0.0
    for word in tool.wording:
        if is_japanese(word):
            hit = word in text or (len(word) > 2 and heard_ratio(reading(word), reading(text)) == 0)
        else:
            hit = word in english or word.rstrip("s") in english or _loan(word, text)
        if hit:
            total += 1.0 if sum(word in other.wording for other in tools) == 1 else 0.4
    return total


def _loan(word: str, text: str) -> bool:
    if len(word) < 4 or len(shape := skeleton(word)) < 3:
        return False
    return any(skeleton(loan) == shape for loan in _loans(text))


def _loans(text: str) -> list[str]:
    return re.findall(r"[ァ-ヶー]{3,}", text)
