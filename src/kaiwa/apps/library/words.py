"""Words for the index, out of Japanese and English text. Knows characters; needs no dictionary.

Japanese is written without blanks, so its runs of characters become overlapping pairs (仮想化: 仮想, 想化):
a search finds them whatever a dictionary would call a word. Pairs of hiragana are mostly endings and
particles, and are left out; katakana and kanji carry what a text is about.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_JAPANESE: Final = re.compile(r"[\u3041-\u30ff\u3400-\u9fff々〆]+")
_HIRAGANA: Final = re.compile(r"[\u3041-\u309f]*")
# What people say around the thing they ask for; it stands in many documents and tells nothing.
_ASKING: Final = re.compile(
    r"について|教えて(ください|下さい)?|調べて(ください|下さい)?|検索(して)?|情報|知りたい|何ですか|ですか|方法|使い方|書き方"
    r"|したい|ください|下さい|どうする|どうやって|ありますか|には"
)
_COMMON_TEXT: Final = """
a about an and any are as at be by can could do does find for from have how i if in into is it its know me
my need of on or please should show some tell than that the their them then there these this to use used
using want was what when where which while who why will with would you your
"""
_COMMON: Final = frozenset(_COMMON_TEXT.split())


def words(text: str) -> list[str]:
    """Return the words to index, in order."""
    found: list[str] = []
    plain = unicodedata.normalize("NFKC", text).lower()
    for run in re.findall(r"[a-z0-9_]+|[\u3041-\u30ff\u3400-\u9fff々〆]+", plain):
        found += _pairs(run) if _JAPANESE.fullmatch(run) else [run]
    return found


def question_words(question: str) -> list[str]:
    """Return the words to look for, each once; empty when a question holds none."""
    plain = unicodedata.normalize("NFKC", question).lower()
    asked = words(_ASKING.sub(" ", plain)) or words(plain)
    return list(dict.fromkeys(word for word in asked if word not in _COMMON and len(word) > 1))


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [] if _HIRAGANA.fullmatch(run) else [run]
    pairs = (run[at : at + 2] for at in range(len(run) - 1))
    return [pair for pair in pairs if not _HIRAGANA.fullmatch(pair)]
