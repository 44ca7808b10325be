# ruff: noqa: E501  (rows of words and patterns; a wide character counts twice)
"""English dates, times and periods relative to a given moment. Knows the grammar, not what asks for it."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from kaiwa.engines.dialogue.mentions import Mention, period
from kaiwa.engines.dialogue.numerals import with_digits_en
from kaiwa.engines.dialogue.text import normalize
from kaiwa.engines.dialogue.when import (
    When,
    clock,
    coming,
    coming_day,
    safe_date,
    shifted,
    weekday_in,
)

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?"
)
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAY = r"mon(?:day)?|tue(?:s|sday)?|wed(?:s|nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
_RELATIVE = {"day after tomorrow": 2, "tomorrow": 1, "today": 0, "tonight": 0, "yesterday": -1}
_DATE = re.compile(
    r"\b(?:(?P<iso>\d{4})-(?P<iso_m>\d{1,2})-(?P<iso_d>\d{1,2})"
    rf"|(?P<m1>{_MONTH})\.? (?:the )?(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<y1>\d{{4}}))?(?!:)"
    rf"|(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m2>{_MONTH})(?:,? (?P<y2>\d{{4}}))?"
    r"|(?P<m3>\d{1,2})/(?P<d3>\d{1,2})"
    rf"|(?P<week>next|this|coming|on|following|week on)? ?(?P<day>{_DAY})(?P<week_after> (?:after next|next week))?"
    r"|(?P<relative>day after tomorrow|tomorrow|today|tonight|yesterday)"
    r"|in (?P<count>\d{1,3}) (?P<unit>days?|weeks?)|(?P<weekend>next weekend|this weekend|the weekend)"
    r"|the (?P<only>\d{1,2})(?:st|nd|rd|th))\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:(?P<past>half|quarter) (?P<side>past|to) (?P<past_h>\d{1,2})|(?P<noon>noon|midday)|(?P<midnight>midnight)"
    r"|(?P<lead>from|at|to|until|till|til|by|between|around|and|-)?\s?(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?"
    r"\s?(?P<mark>a\.?m\b\.?|p\.?m\b\.?|o'?clock)?"
    r"(?: in the (?P<part>morning|afternoon|evening))?)(?![\d/]|(?:st|nd|rd|th)\b)",
    re.IGNORECASE,
)
_NOT_TIME = re.compile(
    r"^\s?(?:people|persons?|guests?|adults?|nights?|days?|hours?|minutes?|weeks?|of|copies|pieces?|tickets?|rooms?|"
    r"dollars?|euros?|yen|pounds?|bottles?|boxes|cars?|seats?|larges?|smalls?|mediums?|pizzas?|[%$€¥])",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"(?<!in )\b(?:for )?(\d{1,3}) ?(nights?|days?|hours?|minutes?|weeks?)\b(?! from| ago)", re.IGNORECASE
)
_TO_NEW = re.compile(
    r"\b((?:change|move|reschedule|switch|postpone)\b(?:(?!\bfrom\b)[^.?])*?) to (?=\D)", re.IGNORECASE
)
_END_BEFORE = re.compile(r"(?:\bto|\buntil|\btill|\btil|\bthrough|-|–|\band)\s*(?:the |on )?$", re.IGNORECASE)


def parse_en(text: str, now: datetime) -> When:
    """Return the period said in English. "next Saturday" is the Saturday of the next Monday-based week."""
    return _parse(text, now.replace(second=0, microsecond=0, tzinfo=None))


@lru_cache(maxsize=1024)
def _parse(text: str, now: datetime) -> When:
    text = _prepared(text)
    dates, rest = _date_mentions(text, now.date())
    times = _time_mentions(rest)
    days, minutes = _lengths(text)
    if soon := re.search(r"\bin (\d{1,3}) (hours?|minutes?)\b", text):
        moment = now + timedelta(minutes=int(soon[1]) * (60 if soon[2].startswith("h") else 1))
        dates, times = [Mention(0, 0, "", date=moment.date())], [Mention(0, 0, "", time=moment.time())]
        minutes = None
    return period(dates, times, _ends, days=days, minutes=minutes)


def without_when(text: str) -> str:
    """Return the text with dates and times cut out."""
    kept = re.sub(
        rf"\b(?:on |for |from |until )?(?:{_DATE.pattern})", " ", _prepared(text), flags=re.IGNORECASE
    )
    kept = re.sub(
        r"\b(?:at|from|to|until) \d{1,2}(?::\d\d)?(?: ?[ap]\.?m\.?)?", " ", kept, flags=re.IGNORECASE
    )
    return " ".join(kept.split())


def _prepared(text: str) -> str:
    # "change it to Sunday" names the new day, not the end of a period
    return _TO_NEW.sub(r"\1 on ", with_digits_en(normalize(text)), count=1)


def _date_mentions(text: str, today: date) -> tuple[list[Mention], str]:
    """Return the dates, and the text with them blanked so that a day is not read as an hour."""
    found: list[Mention] = []
    rest = list(text)
    for match in _DATE.finditer(text):
        day = _date_of(match, today)
        if day is None:
            continue
        role = "end" if _END_BEFORE.search(text[: match.start()]) else "start" if _from(text, match) else ""
        bare = match["day"] is not None and not (match["week"] or match["week_after"])
        found.append(Mention(match.start(), match.end(), role, date=day, bare_weekday=bare))
        rest[match.start() : match.end()] = "#" * (match.end() - match.start())
    return found, "".join(rest)


def _from(text: str, match: re.Match[str]) -> bool:
    return re.search(r"\b(?:from|between)\s*(?:the |on )?$", text[: match.start()], re.IGNORECASE) is not None


def _date_of(match: re.Match[str], today: date) -> date | None:
    part = match.groupdict()
    if part["iso"]:
        return safe_date(int(part["iso"]), int(part["iso_m"]), int(part["iso_d"]))
    month = part["m1"] or part["m2"]
    if month:
        number, day = _MONTHS.index(month[:3].lower()) + 1, int(part["d1"] or part["d2"])
        year = part["y1"] or part["y2"]
        return safe_date(int(year), number, day) if year else coming(today, number, day)
    if part["m3"]:
        return coming(today, int(part["m3"]), int(part["d3"]))
    if part["day"]:
        weekday = _DAYS.index(part["day"][:3].lower())
        week, after = (part["week"] or "").lower(), (part["week_after"] or "").strip().lower()
        weeks = (
            2 if after == "after next" else 1 if week == "next" or after else 0 if week == "this" else None
        )
        return weekday_in(today, weekday, weeks)
    if part["relative"]:
        return shifted(today, _RELATIVE[part["relative"].lower()])
    if part["count"]:
        return shifted(today, int(part["count"]) * (7 if part["unit"].startswith("w") else 1))
    if part["weekend"]:
        return weekday_in(today, 5, 1 if part["weekend"].startswith("next") else 0)
    return coming_day(today, int(part["only"]))


def _time_mentions(text: str) -> list[Mention]:
    found: list[Mention] = []
    for match in _TIME.finditer(text):
        bare = match["hour"] is not None and not (
            match["lead"] or match["mark"] or match["minute"] or match["part"]
        )
        after_and = (match["lead"] or "").lower() in ("and", "-") and not found
        alone = re.fullmatch(
            r"(?:yes,? |ok,? |maybe )?\d{1,2}(?: please)?[.?!]?", text.strip(), re.IGNORECASE
        )
        doubtful = (bare and not alone) or after_and or _NOT_TIME.match(text[match.end() :])
        if doubtful and not (bare and _opens_range(text, match)):
            continue
        said = _time_of(match, loose=not found)
        if said is not None:
            lead = (match["lead"] or "").lower()
            ends = lead in ("to", "until", "till", "til", "by") or _END_BEFORE.search(text[: match.start()])
            role = (
                "end"
                if ends or (found and lead in ("-", "and"))
                else "start"
                if lead in ("from", "between")
                else ""
            )
            found.append(Mention(match.start(), match.end(), role, time=said))
    return found


def _opens_range(text: str, match: re.Match[str]) -> bool:
    return re.match(r"\s?(?:a\.?m\.? |p\.?m\.? )?(?:to|until|till|-) ?\d", text[match.end() :]) is not None


def _time_of(match: re.Match[str], loose: bool) -> time | None:
    if match["noon"] or match["midnight"]:
        return time(12 if match["noon"] else 0, 0)
    if match["past"]:
        minute = 30 if match["past"].lower() == "half" else 15
        hour = int(match["past_h"])
        if match["side"].lower() == "to":
            hour, minute = hour - 1, 60 - minute
        return clock(hour, minute, None)
    mark, part = (match["mark"] or "").lower(), (match["part"] or "").lower()
    half = "am" if mark.startswith("a") or part == "morning" else None
    half = "pm" if mark.startswith("p") or part in ("afternoon", "evening") else half
    return clock(int(match["hour"]), int(match["minute"] or 0), half, loose=loose)


def _ends(mentions: list[Mention]) -> tuple[Any, Any]:
    first = last = None
    for mention in mentions:
        value = mention.date if mention.date is not None else mention.time
        if mention.role == "end":
            last = value
        elif first is None:
            first = value
    return first, last


def _lengths(text: str) -> tuple[int | None, int | None]:
    days = minutes = None
    for match in _LENGTH.finditer(text):
        count, unit = int(match[1]), match[2].lower()
        if unit.startswith("night"):
            days = count
        elif unit.startswith("day"):
            days = max(count - 1, 0)
        elif unit.startswith("week"):
            days = max(count * 7 - 1, 0)
        else:
            minutes = count * (60 if unit.startswith("hour") else 1)
    return days, minutes
