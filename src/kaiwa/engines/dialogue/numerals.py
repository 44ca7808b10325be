# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Numbers as people say them, written as digits. Knows kanji numerals, counters and English number words."""

from __future__ import annotations

import re
from functools import lru_cache

_DIGITS = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {"零": 0}
_UNITS = {"十": 10, "百": 100, "千": 1000}
COUNTERS = (
    "時間|時|分|月|日間|日|年|泊|名様|名|人前|人|枚|個|台|冊|本|円|杯|皿|番|回|週間|ヶ月|か月|歳|匹|通|点|セット|部屋|室|度|"
    "ドル|ユーロ|ポンド|元|号|件|キロ|グラム|つ|箱|袋|席|パック|丁目|ページ"
)
_KANJI_NUMBER = re.compile(rf"[〇零一二三四五六七八九十百千万]+(?=(?:{COUNTERS}))")
_SPOKEN = {
    "ひとつ": "1つ", "ふたつ": "2つ", "みっつ": "3つ", "よっつ": "4つ", "いつつ": "5つ", "むっつ": "6つ", "ななつ": "7つ",
    "やっつ": "8つ", "ここのつ": "9つ", "ひとり": "1人", "ふたり": "2人", "一人": "1人", "二人": "2人",
    "じゅうじ": "10時", "ろくじ": "6時", "しちじ": "7時", "はちじ": "8時", "くじから": "9時から", "さんじ": "3時",
}  # fmt: skip
_DAYS = {
    "ついたち": 1, "ふつか": 2, "みっか": 3, "よっか": 4, "いつか": 5, "むいか": 6, "なのか": 7, "ようか": 8,
    "ここのか": 9, "とおか": 10, "はつか": 20,
}  # fmt: skip
_KANA_DAY = re.compile(rf"(?<=月)({'|'.join(_DAYS)})")
_EN = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100,
}  # fmt: skip
_EN_ORDINAL = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15,
    "sixteenth": 16, "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_EN_COMPOUND = re.compile(rf"\b({_TENS})[\s-]({_ONES})\b", re.IGNORECASE)
_EN_COMPOUND_ORDINAL = re.compile(
    rf"\b({_TENS})[\s-](first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)\b", re.IGNORECASE
)
_MONTH_WORD = "january|february|march|april|may|june|july|august|september|october|november|december"
_EN_MONTH_ORDINAL = re.compile(rf"\b({_MONTH_WORD}) (?:the )?({'|'.join(_EN_ORDINAL)})\b", re.IGNORECASE)
_EN_ORDINAL_OF = re.compile(rf"\b({'|'.join(_EN_ORDINAL)})(?= of (?:{_MONTH_WORD})\b)", re.IGNORECASE)
_EN_WORD = re.compile(rf"\b({'|'.join(_EN)})\b", re.IGNORECASE)
_ORDINALS_JA = re.compile(r"(\d{1,2})(?:番目|つ目|番|個目|件目|店目)")


def kanji_value(text: str) -> int:
    """Return the value of a kanji numeral; plain digit rows such as 二〇二六 work too."""
    if not any(char in "十百千万" for char in text):
        return int("".join(str(_DIGITS[char]) for char in text) or "0")
    total = section = digit = 0
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char == "万":
            total, section, digit = total + max(section + digit, 1) * 10000, 0, 0
        else:
            section, digit = section + max(digit, 1) * _UNITS[char], 0
    return total + section + digit


@lru_cache(maxsize=2048)
def with_digits_ja(text: str) -> str:
    """Return the text with numerals before counters and spoken counts written as digits."""
    for spoken, written in _SPOKEN.items():
        if spoken in text:
            text = text.replace(spoken, written)
    text = re.sub(r"(\d)[,，](\d{3})", r"\1\2", text)
    text = re.sub(r"(\d+)万", lambda match: str(int(match[1][:6]) * 10000), text)
    text = _KANJI_NUMBER.sub(lambda match: str(kanji_value(match[0])), text)
    return _KANA_DAY.sub(lambda match: f"{_DAYS[match[1]]}日", text)


@lru_cache(maxsize=2048)
def with_digits_en(text: str) -> str:
    """Return the text with number words as digits; ordinals of days become 1st, 28th and so on."""
    text = _EN_COMPOUND_ORDINAL.sub(
        lambda match: f"{_EN[match[1].lower()] + _EN_ORDINAL[match[2].lower()]}th", text
    )
    text = _EN_MONTH_ORDINAL.sub(lambda match: f"{match[1]} {_EN_ORDINAL[match[2].lower()]}", text)
    text = _EN_ORDINAL_OF.sub(lambda match: f"{_EN_ORDINAL[match[1].lower()]}th", text)
    text = _EN_COMPOUND.sub(lambda match: str(_EN[match[1].lower()] + _EN[match[2].lower()]), text)
    text = re.sub(r"\b(?:a|an) (?=hour|day|week|month|night|hundred)", "1 ", text)
    text = re.sub(r"\b(a couple of|a couple|a pair of)\b", "2", text, flags=re.IGNORECASE)
    text = _EN_WORD.sub(lambda match: str(_EN[match[1].lower()]), text)
    text = re.sub(r"\b(\d) 100\b", r"\g<1>00", text)
    return re.sub(r"(\d),(\d{3})\b", r"\1\2", text)


def ordinal_in(text: str, count: int) -> int | None:
    """Return the index of the option that 最初の, 二番目, "the first one" or "last" points at."""
    lowered = with_digits_ja(text).lower()
    position: int | None = None
    if re.search(r"最初|はじめの|一番目|一つ目|\bfirst\b|\bnumber (?:1|one)\b|前者", lowered):
        position = 0
    elif re.search(r"最後|\blast\b|後者", lowered):
        position = count - 1
    elif match := _ORDINALS_JA.search(lowered):
        position = int(match[1]) - 1
    elif match := re.search(
        r"\b(second|third|fourth|fifth|\d(?:st|nd|rd|th)) (?:one|option|place|shop|store)\b", lowered
    ):
        position = _EN_ORDINAL.get(match[1], 0) or int(match[1][0])
        position -= 1
    elif match := re.fullmatch(r"(?:the )?(second|third|fourth|fifth)(?: one)?(?:,? please)?[.!]?", lowered):
        position = _EN_ORDINAL[match[1]] - 1
    return position if position is not None and 0 <= position < count else None
