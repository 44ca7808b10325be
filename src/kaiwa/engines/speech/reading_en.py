"""Rewrite English text so that the voice reads it as a person would. Knows writing; knows no voice."""

from __future__ import annotations

import re
from typing import Final

from kaiwa.engines.speech.wordlists import words

_MONTHS: Final = words(
    "January February March April May June July August September October November December"
)
_ORDINALS: Final = words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third "
    "twenty-fourth twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
)
_DIGITS: Final = words("zero one two three four five six seven eight nine")

_MARKUP: Final = re.compile(r"(\*\*|__|`+|^#{1,6}\s+|^\s*[-*]\s+)", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_ADDRESS: Final = re.compile(r"https?://\S+")
_DATE: Final = re.compile(r"(?<!\d)\d{4}-(\d{1,2})-(\d{1,2})(?!\d)")
_CLOCK: Final = re.compile(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])(\s*[ap]\.?m\.?(?!\w))?", re.I)
_CODE: Final = re.compile(r"(?<![A-Za-z0-9])([A-Z]{1,4})-(\d{2,8})(?![A-Za-z0-9])")
_PHONE: Final = re.compile(r"(?<![\d-])\+?\d{2,4}-\d{3,4}-\d{3,4}(?![\d-])")
_YEN: Final = re.compile(r"[¥￥](\d[\d,]*)|(\d[\d,]*)\s*(?:JPY|円)")
_SILENT: Final = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d]")


def read_english(text: str) -> str:
    """Return the text as it is to be spoken: dates, times, codes and telephone numbers in words."""
    text = _SILENT.sub("", _ADDRESS.sub("", _LINK.sub(r"\1", _MARKUP.sub("", text))))
    text = _DATE.sub(lambda m: _date(int(m[1]), int(m[2]), m[0]), text)
    text = _PHONE.sub(lambda m: _phone(m[0]), text)
    text = _CLOCK.sub(lambda m: _clock(int(m[1]), int(m[2]), m[3]), text)
    text = _CODE.sub(lambda m: f"{' '.join(m[1])} {_digits(m[2])}", text)
    return _YEN.sub(lambda m: f"{(m[1] or m[2]).replace(',', '')} yen", text)


def _date(month: int, day: int, written: str) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return written
    return f"{_MONTHS[month - 1]} {_ORDINALS[day - 1]}"


def _clock(hour: int, minute: int, half: str | None) -> str:
    if half:
        suffix = " " + " ".join(half.lower().replace(".", "").strip())
    else:
        suffix = " a m" if hour < 12 else " p m"
        hour = hour % 12 or 12
    spoken = f"{hour}" if minute == 0 else f"{hour} {minute}" if minute > 9 else f"{hour} oh {minute}"
    return spoken + suffix


def _digits(digits: str) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in digits if digit.isdigit())


def _phone(number: str) -> str:
    return ", ".join(_digits(group) for group in number.lstrip("+").split("-"))
