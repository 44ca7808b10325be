"""How finished a Japanese utterance sounds by its last word. Knows grammar; knows no audio.

Source of the classes: the IPA part-of-speech set, as Open JTalk's dictionary has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from kaiwa.engines.speech.mei import analyse
from kaiwa.engines.speech.wordlists import word_set

_FILLERS: Final = word_set(
    "えー えーと ええと えっと えーっと ええっと あの あのー あのう その そのー そのう うーん "
    "うーんと んー んーと まあ まぁ なんか なんだろう ええっとですね えーとですね えっとですね "
    "あのですね なんていうか あー ああ あ"
)
_ANSWERS: Final = word_set(
    "はい いいえ いえ うん ええ いや ううん 了解 オーケー オッケー OK ok ありがとう もちろん ぜひ 結構 "
    "大丈夫 だめ 無理 お願い よろしく こんにちは おはよう こんばんは さようなら "
    "すみません ごめんなさい もしもし どうも"
)
_CUT_OFF: Final = word_set(
    "もう もし たとえば 例えば あと ちょっと だいたい できれば なるべく たぶん やっぱり また まだ"
)
_ASKED: Final = word_set("教え 待っ 見せ 聞かせ やめ 止め 調べ")
"""Verbs whose te-form is a request by itself: 教えて, 待って."""
_FITS: Final = {
    "date": re.compile(r"[日月曜週末]|明日|あす|あさって|今日|昨日|元旦|連休"),
    "time": re.compile(r"[時分半]|正午|昼|朝|夕方|夜"),
    "number": re.compile(r"[0-9０-９一二三四五六七八九十百]|[人名台個本枚泊]"),
    "id": re.compile(r"[0-9０-９ゼ零一二三四五六七八九A-Za-z]|アール|番"),
    "name": re.compile(r"."),
    "choice": re.compile(r"."),
}
_MARKS: Final = "。、！？!?,.・ 　"


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    pos: str
    group: str
    form: str


def completeness(text: str, kind: str) -> float:
    """Return 0 (surely goes on) to 1 (surely done). `kind` is the slot just asked for; see Expectation."""
    said = text.strip().rstrip(_MARKS)
    if not said:
        return 0.5
    tail = re.split(f"[{re.escape(_MARKS)}]", said)[-1]
    if tail in _FILLERS:
        return 0.05
    if text.rstrip().endswith(("？", "?")):
        return 0.93
    if tail in _ANSWERS:
        return 0.93
    words = _words(said)
    if not words:
        return 0.5
    before = words[-2] if len(words) > 1 else None
    score = _by_word(words[-1], before, kind)
    return min(score, 0.45) if text.rstrip().endswith("、") else score


def _words(said: str) -> list[_Word]:
    found: list[dict[str, Any]] = analyse(said)
    return [
        _Word(each["string"], each["pos"], each["pos_group1"], each["cform"])
        for each in found
        if each["pos"] != "記号"
    ]


def _by_word(last: _Word, before: _Word | None, kind: str) -> float:
    if last.text in _ANSWERS:
        return 0.93
    if last.text in _CUT_OFF or last.text in _FILLERS:
        return 0.08
    match last.pos:
        case "助詞":
            return _particle(last, before, kind)
        case "助動詞":
            return _auxiliary(last, before, kind)
        case "動詞":
            return _verb(last)
        case "形容詞":
            return 0.82 if last.form.startswith("基本形") else 0.15
        case "名詞":
            return _noun(last, before, kind)
        case "感動詞":
            return 0.8
        case "副詞":
            return 0.75 if last.text in ("そう", "どう") else 0.3
        case _:
            return 0.05


def _particle(last: _Word, before: _Word | None, kind: str) -> float:
    polite = before is not None and before.pos == "助動詞" and before.form == "基本形"
    if last.text in ("けど", "けれど", "けれども", "が") and polite:
        return 0.8
    if last.text in ("けど", "けれど", "けれども"):
        return 0.5
    if last.text == "から" and polite:
        return 0.35
    if last.text in ("ね", "さ", "よ") and before is not None and before.pos in ("助詞", "名詞", "フィラー"):
        return 0.35 if before.group != "終助詞" else 0.93
    if last.group in ("終助詞", "副助詞／並立助詞／終助詞"):
        return 0.95
    if last.text in ("て", "で") and before is not None and before.text in _ASKED:
        return 0.7
    if last.text == "で" and kind in ("choice", "date", "time", "number"):
        return 0.72
    if last.text == "まで" and kind in ("date", "time"):
        return 0.65
    return 0.1


def _auxiliary(last: _Word, before: _Word | None, kind: str) -> float:
    if last.form.startswith("命令"):
        return 0.95
    if last.form != "基本形":
        # The copula's で after a noun is written like the particle and means the same to a listener.
        return 0.72 if last.text == "で" and kind in ("choice", "date", "time", "number") else 0.1
    if last.text in ("です", "ます", "う", "ん", "た") and (before is None or before.text != "の"):
        polite = last.text != "た" or (before is not None and before.text in ("まし", "でし"))
        return 0.95 if polite else 0.8
    return 0.82


def _verb(last: _Word) -> float:
    if last.form.startswith("命令") or last.text in ("ください", "下さい", "願います"):
        return 0.95
    return 0.65 if last.form.startswith("基本形") else 0.12


def _noun(last: _Word, before: _Word | None, kind: str) -> float:
    if last.text.endswith("お願い") or (last.text == "願い" and before is not None):
        return 0.9
    if last.group == "形容動詞語幹":
        return 0.75
    fits = _FITS.get(kind)
    whole = (before.text if before is not None else "") + last.text
    if fits is not None and fits.search(whole):
        return 0.85
    return 0.3
