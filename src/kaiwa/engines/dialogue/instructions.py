# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""What simple instructions ask for: who speaks, in which language, and words to say. Ignores the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kaiwa.engines.dialogue.text import normalize

_QUOTED = r"[「『\"“](?P<t>[^」』\"”]{1,200})[」』\"”]"
_GREETING = (
    rf"(?:最初|はじめ|初め|冒頭|まず|開始時|挨拶|あいさつ)[^。「]{{0,20}}{_QUOTED}",
    rf"{_QUOTED}と(?:挨拶|あいさつ)",
    rf"\b(?:greet|begin|start|open|answer the (?:phone|call))\b[^.\"“]{{0,40}}{_QUOTED}",
)
_EXACT = (
    rf"^(?:ユーザーに|次の(?:文|言葉)を)?{_QUOTED}と(?:だけ|正確に|そのまま)?(?:言|話し|答え|挨拶)[^。]{{0,12}}[。]?$",
    r"^(?:次の(?:文|言葉)を?(?:そのまま)?(?:言って|話して|読んで)(?:ください)?)[:：]\s*(?P<t>.+)$",
    rf"^(?:please )?(?:say|repeat|tell the user)(?: exactly| only| just)?(?: this| the following)?[:：]?\s*{_QUOTED}\.?$",
    r"^(?:please )?(?:say|repeat)(?: exactly| only| the following| this)*\s*[:：]\s*(?P<t>.+)$",
    r"^(?:please )?say exactly (?P<t>.+)$",
)
_HELLO = re.compile(
    r"^(?:please )?(?:say (?:hello|hi)|greet the (?:user|caller|customer)|(?:こんにちはと|挨拶)[^。]{0,14})[^.。]{0,30}[.。!]?$",
    re.I,
)
_SHOP = (
    r"(?:あなたは|私たちは|当店は)[、 ]*(?P<t>[^。、\n]{2,24}?)の(?:\S{0,8})?(?:オペレーター|受付|担当|店員|スタッフ|案内|アシスタント|エージェント|係|窓口|コンシェルジュ|フロント|予約)",
    r"(?:operator|receptionist|assistant|agent|clerk|staff|host|concierge|representative)(?: \w+)? (?:of|at|for) (?:the )?(?P<t>[A-Z][\w'&]*(?: [A-Z][\w'&]*){0,4})",
    r"\byou (?:work|answer the phone) (?:for|at) (?:the )?(?P<t>[A-Z][\w'&]*(?: [A-Z][\w'&]*){0,4})",
)
_NAME = (
    r"(?:あなたの)?名前は[「『]?(?P<t>[^「」『』。、\s]{1,12}?)[」』]?(?:です|。|と|$)",
    r"\b[Yy]our name is (?P<t>[A-Z]\w+)",
    r"\b[Yy]ou are (?P<t>[A-Z][a-z]+),",
)
_LANGUAGE = (
    ("ja", r"(?:常に|必ず|いつも|すべて)?日本語(?:のみ|だけ)?で(?:の)?[^。、]{0,4}?(?:答|回答|返答|応答|話|対応|会話|返|応)|\b(?:in|speak|use|only) japanese\b"),
    ("en", r"英語(?:のみ|だけ)?で(?:の)?[^。、]{0,4}?(?:答|回答|返答|応答|話|対応|会話|返|応)|\b(?:in|speak|use|only) english\b"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Persona:
    """The simple part of instructions; None where they say nothing."""

    shop: str | None = None
    name: str | None = None
    language: str | None = None
    greeting: str | None = None
    exact: str | None = None
    hello: bool = False


@lru_cache(maxsize=256)
def persona_of(instructions: str) -> Persona:
    """Return what the instructions say about speaking."""
    text = normalize(instructions)[:4000]
    lowered = text.lower()
    language = next((code for code, pattern in _LANGUAGE if re.search(pattern, lowered)), None)
    return Persona(
        shop=_first(_SHOP, text),
        name=_first(_NAME, text),
        language=language,
        greeting=_first(_GREETING, text, re.IGNORECASE),
        exact=_first(_EXACT, text, re.IGNORECASE) if len(text) < 400 else None,
        hello=_HELLO.match(text) is not None,
    )


def _first(patterns: tuple[str, ...], text: str, flags: int = 0) -> str | None:
    for pattern in patterns:
        match = re.search(pattern, text, flags)
        if match:
            return match["t"].strip() or None
    return None
