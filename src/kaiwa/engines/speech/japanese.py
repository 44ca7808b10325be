"""Facts about Japanese text that several speech modules need: scripts, morae, tidy punctuation."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_JAPANESE: Final = r"\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\u3005\u3006\uff66-\uff9f"
_HAS_JAPANESE: Final = re.compile(f"[{_JAPANESE}]")
_INNER_SPACE: Final = re.compile(rf"(?<=[{_JAPANESE}、。？！0-9])[ \u3000]+(?=[{_JAPANESE}、。？！0-9])")
_SPACE: Final = re.compile(r"\s+")
_TO_JAPANESE: Final = str.maketrans({"?": "？", "!": "！", "｡": "。", "､": "、"})
_SMALL: Final = frozenset("ァィゥェォャュョヮぁぃぅぇぉゃゅょゎ")
_KANJI_MORAE: Final = 1.8


def is_japanese(text: str) -> bool:
    """Say whether the text holds a kana or a kanji."""
    return _HAS_JAPANESE.search(text) is not None


def count_morae(text: str) -> float:
    """Estimate the morae of written Japanese: kana exactly, a kanji or digit as 1.8, a Latin letter as 2."""
    total = 0.0
    for char in text:
        if char in _SMALL or not (char.isalnum() or char == "ー"):
            continue
        if "\u3040" <= char <= "\u30ff":
            total += 1
        else:
            total += 2.0 if char.isascii() and char.isalpha() else _KANJI_MORAE
    return total


def tidy(text: str, language: str) -> str:
    """Return recognised text with even spacing and, for Japanese, Japanese punctuation and narrow digits."""
    text = _SPACE.sub(" ", text).strip()
    if language != "ja":
        return text
    text = unicodedata.normalize("NFKC", text).translate(_TO_JAPANESE)
    text = re.sub(rf"(?<=[{_JAPANESE}])\s*,\s*", "、", text)
    text = re.sub(rf"(?<=[{_JAPANESE}])\s*\.(?=\s|$|[{_JAPANESE}])", "。", text)
    return _INNER_SPACE.sub("", text).strip()
