# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""Japanese dates, times and periods relative to a given moment. Knows the grammar, not what asks for it."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from kaiwa.engines.dialogue.mentions import Mention, period
from kaiwa.engines.dialogue.numerals import with_digits_ja
from kaiwa.engines.dialogue.text import is_japanese, normalize, reading
from kaiwa.engines.dialogue.when import (
    When,
    clock,
    coming,
    coming_day,
    safe_date,
    shifted,
    weekday_in,
)

_WEEKDAYS = "月火水木金土日"
_RELATIVE = {
    "明々後日": 3, "しあさって": 3, "明後日": 2, "あさって": 2, "明日": 1, "あした": 1, "あす": 1, "今日": 0, "きょう": 0,
    "本日": 0, "一昨日": -2, "おととい": -2, "昨日": -1, "きのう": -1, "今夜": 0, "今晩": 0, "明晩": 1, "明朝": 1, "今朝": 0,
    "当日": 0,
}  # fmt: skip
_WEEKS = {"再来週": 2, "さ来週": 2, "さらいしゅう": 2, "来週": 1, "らいしゅう": 1, "今週": 0, "こんしゅう": 0}
_HALF = {
    "午前": "am", "朝": "am", "今朝": "am", "明朝": "am", "午後": "pm", "昼": "pm", "お昼": "pm", "夕方": "pm", "夜": "pm",
    "晩": "pm", "今夜": "pm", "今晩": "pm", "深夜": "am", "夜中": "am", "早朝": "am", "am": "am", "pm": "pm",
}  # fmt: skip
_NAMED_DAYS = {
    "元日": (1, 1),
    "元旦": (1, 1),
    "大晦日": (12, 31),
    "クリスマスイブ": (12, 24),
    "クリスマス": (12, 25),
}
_SPOKEN_DAYS = {
    "にちよう": "日曜", "げつよう": "月曜", "かよう": "火曜", "すいよう": "水曜", "もくよう": "木曜", "きんよう": "金曜",
    "どよう": "土曜", "土用日": "土曜日", "曜び": "曜日",
}  # fmt: skip
_DATE = re.compile(
    r"(?P<iso>\d{4})[-/](?P<iso_m>\d{1,2})[-/](?P<iso_d>\d{1,2})"
    r"|(?:(?P<year>\d{4})年)?(?P<month>\d{1,2})月(?:の)?(?P<day>\d{1,2})日?(?!間)"
    r"|(?<![\d:])(?P<slash_m>\d{1,2})/(?P<slash_d>\d{1,2})(?![\d/])"
    rf"|(?P<week>{'|'.join(_WEEKS)}|次|今度|来月)の?(?:(?P<week_day>[{_WEEKDAYS}])曜日?|(?P<month_day>\d{{1,2}})日(?!間|後))"
    rf"|(?P<bare_week>再来週|来週|今週)?の?(?P<weekend>週末|末(?=$|[、のにはで]))"
    rf"|(?P<weekday>[{_WEEKDAYS}])曜日?"
    rf"|(?P<relative>(?<!とう)(?:{'|'.join(_RELATIVE)})(?!と[うさの]|とし))"
    r"|(?P<weeks_on>\d{1,2})週間後|(?P<days_on>\d{1,3})日後"
    rf"|(?P<named>{'|'.join(_NAMED_DAYS)})"
    r"|(?<![\d月泊])(?P<only_day>\d{1,2})日(?!間|後|目|前)"
)
_TIME = re.compile(
    rf"(?:(?P<half>{'|'.join(_HALF)})の?)?(?:(?P<hour>\d{{1,2}})時(?!間)(?:(?P<minute>\d{{1,2}})分|(?P<half_past>半))?"
    r"|(?P<clock_h>\d{1,2}):(?P<clock_m>\d{2})(?::\d{2})?\s*(?P<suffix>am|pm)?)|(?P<noon>正午)|(?P<midnight>真夜中)",
    re.IGNORECASE,
)
_NIGHTS = re.compile(r"(\d{1,3})泊(?:(\d{1,3})日)?")
_DAY_COUNT = re.compile(r"(\d{1,3})日間|(\d{1,2})週間(?!後)")
_LENGTH = re.compile(r"(\d{1,3})時間(半)?|(?<![時\d])(\d{1,3})分間?(?!後)")
_AFTER = re.compile(r"(\d{1,3})(時間|分)後")
_START = re.compile(
    r"^(?:の[^、。]{0,6})?(?:から|より|スタート|開始|発|に出発|に受け?取|チェックイン|[-ー～](?=\d))"
)
_END = re.compile(r"^(?:の[^、。]{0,6})?(?:まで|迄|に返|に戻|終了|チェックアウト)")
_READ_WEEK = re.compile(
    r"(?P<week>サライシュー|ライシュー|コンシュー)?ノ?(?P<day>ニチ|ゲツ|カ|スイ|モク|キン|ド)ヨービ?"
)
_READ_WEEKS = {"サライシュー": 2, "ライシュー": 1, "コンシュー": 0}
_READ_DAYS = {"ゲツ": 0, "カ": 1, "スイ": 2, "モク": 3, "キン": 4, "ド": 5, "ニチ": 6}


def parse_ja(text: str, now: datetime) -> When:
    """Return the period said in Japanese. Unsaid parts stay None."""
    return _parse(text, now.replace(second=0, microsecond=0, tzinfo=None))


@lru_cache(maxsize=1024)
def _parse(text: str, now: datetime) -> When:
    text = _prepared(text)
    dates = _date_mentions(text, now.date())
    if not dates and (heard := _heard_date(text, now.date())):
        dates = [heard]
    times = _time_mentions(text)
    if after := _AFTER.search(text):
        moment = now + timedelta(minutes=int(after[1]) * (60 if after[2] == "時間" else 1))
        dates, times = [Mention(0, 0, "", date=moment.date())], [Mention(0, 0, "", time=moment.time())]
    minutes = None if after else _minutes(text)
    return period(dates, times, _ends, days=_days(text), minutes=minutes)


def without_when(text: str) -> str:
    """Return the text with every date and time in it cut out, together with the particle after it."""
    text = _prepared(text)
    for pattern in (_DATE, _TIME, _NIGHTS, _DAY_COUNT):
        text = re.sub(f"(?:{pattern.pattern})(?:から|まで|の|に|は)?", "", text, flags=pattern.flags)
    return text


def _prepared(text: str) -> str:
    text = normalize(text)
    for spoken, written in _SPOKEN_DAYS.items():
        if spoken in text:
            text = text.replace(spoken, written)
    return with_digits_ja(text)


def _date_mentions(text: str, today: date) -> list[Mention]:
    found: list[Mention] = []
    for match in _DATE.finditer(text):
        day = _date_of(match, today)
        if day is not None:
            found.append(
                Mention(
                    match.start(),
                    match.end(),
                    _role(text, match.end()),
                    date=day,
                    bare_weekday=match["weekday"] is not None,
                )
            )
    return found


def _date_of(match: re.Match[str], today: date) -> date | None:
    part = match.groupdict()
    if part["iso"]:
        return safe_date(int(part["iso"]), int(part["iso_m"]), int(part["iso_d"]))
    if part["month"] and part["year"]:
        return safe_date(int(part["year"]), int(part["month"]), int(part["day"]))
    if part["month"] or part["slash_m"]:
        return coming(today, int(part["month"] or part["slash_m"]), int(part["day"] or part["slash_d"]))
    if part["week"]:
        return _in_named_week(part, today)
    if part["weekend"]:
        weeks = _WEEKS.get(part["bare_week"] or "", 0)
        return weekday_in(today, 5, weeks) if weeks or today.weekday() < 5 else today
    if part["weekday"]:
        return weekday_in(today, _WEEKDAYS.index(part["weekday"]), None)
    if part["relative"]:
        return shifted(today, _RELATIVE[part["relative"]])
    if part["weeks_on"] or part["days_on"]:
        return shifted(today, int(part["weeks_on"] or 0) * 7 + int(part["days_on"] or 0))
    if part["named"]:
        return coming(today, *_NAMED_DAYS[part["named"]])
    return coming_day(today, int(part["only_day"]))


def _in_named_week(part: dict[str, str | None], today: date) -> date | None:
    week, weekday, month_day = part["week"] or "", part["week_day"], part["month_day"]
    if month_day is not None:
        if week == "来月":
            year, month = today.year + today.month // 12, today.month % 12 + 1
            return safe_date(year, month, int(month_day))
        return coming_day(today, int(month_day))
    return weekday_in(today, _WEEKDAYS.index(weekday or "月"), _WEEKS.get(week))


def _heard_date(text: str, today: date) -> Mention | None:
    """Find a weekday by its sound only, as when 土曜日 was written down with the wrong characters."""
    if not is_japanese(text) or len(text) > 60:
        return None
    match = _READ_WEEK.search(reading(text))
    if match is None or (match["day"] == "カ" and match["week"] is None):
        return None
    weeks = _READ_WEEKS.get(match["week"] or "")
    tail = reading(text)[match.end() : match.end() + 2]
    role = "start" if tail == "カラ" else "end" if tail == "マデ" else ""
    return Mention(0, 0, role, date=weekday_in(today, _READ_DAYS[match["day"]], weeks))


def _time_mentions(text: str) -> list[Mention]:
    found: list[Mention] = []
    inherited: str | None = None
    for match in _TIME.finditer(text):
        half = _HALF.get(match["half"] or "") or (match["suffix"] or "").lower() or None
        half = half or inherited if match["hour"] else half
        inherited = half if half == "pm" else None
        if match["noon"] or match["midnight"]:
            said = time(12 if match["noon"] else 0, 0)
        elif match["hour"]:
            minute = 30 if match["half_past"] else int(match["minute"] or 0)
            said = clock(int(match["hour"]), minute, half, loose=not found)
        else:
            said = clock(int(match["clock_h"]), int(match["clock_m"]), half, loose=False)
        if said is not None:
            found.append(Mention(match.start(), match.end(), _role(text, match.end()), time=said))
    return found


def _role(text: str, end: int) -> str:
    tail = text[end:]
    return "start" if _START.match(tail) else "end" if _END.match(tail) else ""


def _ends(mentions: list[Mention]) -> tuple[Any, Any]:
    """Return the first and the last value: a later one without a particle of its own closes the period."""
    first = last = None
    for mention in mentions:
        value = mention.date if mention.date is not None else mention.time
        if mention.role == "end" or (mention.role == "" and first is not None and _opened(mentions)):
            last = value
        elif first is None or mention.role == "start" or not _opened(mentions):
            first = value
    return first, last


def _opened(mentions: list[Mention]) -> bool:
    return any(mention.role == "start" for mention in mentions)


def _days(text: str) -> int | None:
    if nights := _NIGHTS.search(text):
        return int(nights[1])
    if count := _DAY_COUNT.search(text):
        return max(int(count[1] or 0) + int(count[2] or 0) * 7 - 1, 0)
    return None


def _minutes(text: str) -> int | None:
    match = _LENGTH.search(text)
    if match is None:
        return None
    return int(match[1] or 0) * 60 + (30 if match[2] else 0) + int(match[3] or 0)
