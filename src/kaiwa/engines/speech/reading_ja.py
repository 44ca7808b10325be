"""Rewrite Japanese text so that the voice reads it as a person would. Knows writing; knows no voice.

Only what the voice's own dictionary gets wrong is touched: it reads 2泊3日, 8,800円 and 14日 rightly.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from kaiwa.engines.speech.wordlists import words

_LETTERS: Final = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        words(
            "エー ビー シー ディー イー エフ ジー エイチ アイ ジェー ケー エル エム エヌ "
            "オー ピー キュー アール エス ティー ユー ブイ ダブリュー エックス ワイ ゼット"
        ),
        strict=True,
    )
)
_DIGITS: Final = dict(
    zip("0123456789", words("ゼロ イチ ニー サン ヨン ゴー ロク ナナ ハチ キュー"), strict=True)
)
_CODE_DIGITS: Final = _DIGITS | {"2": "ニ", "5": "ゴ"}
_MONTHS: Final = words("一 二 三 四 五 六 七 八 九 十 十一 十二")
_ONES: Final = ("", *words("一 二 三 四 五 六 七 八 九"))

_LOANS: Final = {
    "python": "パイソン",
    "javascript": "ジャバスクリプト",
    "typescript": "タイプスクリプト",
    "azure": "アジュール",
    "openai": "オープンエーアイ",
    "signalr": "シグナルアール",
    "web": "ウェブ",
    "email": "イーメール",
    "mail": "メール",
    "ok": "オーケー",
    "compact": "コンパクト",
    "hybrid": "ハイブリッド",
    "sedan": "セダン",
    "van": "バン",
    "check": "チェック",
    "docker": "ドッカー",
    "linux": "リナックス",
    "rust": "ラスト",
    "java": "ジャバ",
    "go": "ゴー",
}

_MARKUP: Final = re.compile(r"(\*\*|__|`+|^#{1,6}\s+|^\s*[-*・]\s+)", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_ADDRESS: Final = re.compile(r"https?://[^\s、。）)]+")
_DATE: Final = re.compile(r"(?<!\d)\d{4}[-/](\d{1,2})[-/](\d{1,2})(?!\d)")
_SHORT_DATE: Final = re.compile(r"(?<![\d/])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/])")
_CLOCK: Final = re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?::[0-5]\d)?(?![\d:])")
_RANGE: Final = re.compile(r"(?<=[0-9日時分月円年])\s*[〜～~]\s*(?=[0-9])")
_PHONE: Final = re.compile(r"(?<![\d-])0\d{1,4}-\d{1,4}-\d{3,4}(?![\d-])")
_CODE: Final = re.compile(r"(?<![A-Za-z0-9])([A-Z]{1,4})-?(\d{2,8})(?![A-Za-z0-9])")
_YEN: Final = re.compile(r"[¥\\](\d[\d,]*)")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z']*")
_SILENT: Final = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d]")


def read_japanese(text: str) -> str:
    """Return the text as it is to be spoken: dates, times, codes, telephone numbers and letters in words."""
    text = unicodedata.normalize("NFKC", text).replace("。.", "。")
    text = _SILENT.sub("", _ADDRESS.sub("", _LINK.sub(r"\1", _MARKUP.sub("", text))))
    text = _RANGE.sub("から", text)
    text = _DATE.sub(lambda m: _date(int(m[1]), int(m[2]), m[0]), text)
    text = _PHONE.sub(lambda m: _phone(m[0]), text)
    text = _CLOCK.sub(lambda m: _clock(int(m[1]), int(m[2])), text)
    text = _SHORT_DATE.sub(lambda m: _date(int(m[1]), int(m[2]), m[0]), text)
    text = _YEN.sub(r"\1円", text)
    text = _CODE.sub(lambda m: f"{spell_letters(m[1])}・{spell_code(m[2])}", text)
    return _WORD.sub(lambda m: _word(m[0]), text)


def spell_letters(letters: str) -> str:
    """SUV → エスユーブイ."""
    return "".join(_LETTERS.get(letter, letter) for letter in letters.upper())


def spell_code(digits: str) -> str:
    """001 → ゼロゼロイチ."""
    return "".join(_CODE_DIGITS.get(digit, digit) for digit in digits)


def _date(month: int, day: int, written: str) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return written
    return f"{_MONTHS[month - 1]}月{_below_hundred(day)}日"


def _below_hundred(number: int) -> str:
    tens, ones = divmod(number, 10)
    return ("" if tens == 0 else "十" if tens == 1 else f"{_ONES[tens]}十") + _ONES[ones]


def _clock(hour: int, minute: int) -> str:
    spoken = f"{_below_hundred(hour) or '零'}時"
    return spoken + (f"{_below_hundred(minute)}分" if minute else "")


def _phone(number: str) -> str:
    return "、".join("".join(_DIGITS[digit] for digit in group) for group in number.split("-"))


def _word(word: str) -> str:
    loan = _LOANS.get(word.lower())
    if loan is not None:
        return loan
    return spell_letters(word) if word.isupper() and len(word) <= 5 else word
