"""A point or period of time as far as it was said, and how later words complete or correct it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

NOON = 12


@dataclass(frozen=True, slots=True)
class When:
    """What was said about time. Unsaid parts are None.

    `point` marks a lone date or time without "from" or "until": it may answer a question for either end.
    `days` counts from the first date to the last (2泊3日 gives 2), `minutes` is a length within the day.
    `weekday_only` says that the date is a bare weekday, which means another week once a day is known.
    """

    date: date | None = None
    time: time | None = None
    end_date: date | None = None
    end_time: time | None = None
    days: int | None = None
    minutes: int | None = None
    point: bool = False
    weekday_only: bool = False

    def __bool__(self) -> bool:
        said = (self.date, self.time, self.end_date, self.end_time, self.days, self.minutes)
        return any(part is not None for part in said)


def completed(when: When) -> When:
    """Return the period with the end worked out from its length, its times or its day."""
    if when.end_date is None and when.date is not None and when.days is not None:
        when = replace(when, end_date=shifted(when.date, when.days))
    if when.minutes is not None and when.time is not None and when.end_time is None:
        start = datetime.combine(when.date or date(2000, 1, 1), when.time)
        end = start + timedelta(minutes=min(when.minutes, 100_000))
        when = replace(
            when, end_time=end.time(), end_date=when.end_date or (end.date() if when.date else None)
        )
    same_day = when.end_date is None or when.end_date == when.date
    if when.time and when.end_time and same_day and when.end_time <= when.time:
        if when.end_time.hour < NOON and when.end_time.hour + NOON > when.time.hour:
            when = replace(when, end_time=when.end_time.replace(hour=when.end_time.hour + NOON))
        elif when.date is not None and when.end_time < when.time:
            when = replace(when, end_date=shifted(when.date, 1))
    if when.end_date is None and when.date is not None and when.end_time is not None:
        when = replace(when, end_date=when.date)
    return when


def shifted(day: date, days: int) -> date:
    """Return the day so many days on, held inside the calendar."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return day


def merged(known: When, said: When, asked_end: bool = False) -> When:
    """Return what is known after `said`: new parts win, a moved first day takes the last day with it."""
    if said.weekday_only and said.date and known.date:
        near = weekday_in(known.date, said.date.weekday(), None if asked_end else 0)
        said = replace(said, date=max(near, said.date), weekday_only=False)
    if asked_end and said.point:
        said = replace(said, date=None, time=None, end_date=said.date, end_time=said.time, point=False)
    fresh_end = said.end_date or (None if said.days is None else known.end_date)
    end_date = said.end_date or known.end_date
    if said.date and not fresh_end and said.days is None and known.date and known.end_date:
        end_date = shifted(said.date, (known.end_date - known.date).days)
    if said.days is not None and said.end_date is None:
        end_date = None
    if end_date and said.date and end_date < said.date:
        end_date = None
    end_time = said.end_time or (None if said.minutes is not None else known.end_time)
    return When(
        date=said.date or known.date,
        time=said.time or known.time,
        end_date=end_date,
        end_time=end_time,
        days=said.days if said.days is not None else (None if said.end_date else known.days),
        minutes=said.minutes if said.minutes is not None else (None if said.end_time else known.minutes),
    )


def safe_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def coming(today: date, month: int, day: int) -> date | None:
    """Return the next such day of the year; a day gone by means next year."""
    found = safe_date(today.year, month, day)
    if found is None or found < today:
        found = safe_date(today.year + 1, month, day) or found
    return found


def coming_day(today: date, day: int) -> date | None:
    """Return the next such day of a month, this month or one of the next."""
    for ahead in range(3):
        month = today.month + ahead
        found = safe_date(today.year + (month - 1) // 12, (month - 1) % 12 + 1, day)
        if found is not None and found >= today:
            return found
    return None


def weekday_in(today: date, weekday: int, weeks: int | None) -> date:
    """Return the weekday of the Monday-based week `weeks` ahead; with None the next one after today."""
    if weeks is None:
        return shifted(today, (weekday - today.weekday() - 1) % 7 + 1)
    monday = shifted(today, -today.weekday())
    return shifted(monday, 7 * weeks + weekday)


def clock(hour: int, minute: int, half_day: str | None, loose: bool = True) -> time | None:
    """Return a time of day. `half_day` is "am", "pm" or None; with None a loose 1 to 6 is afternoon."""
    if half_day == "pm" and hour < NOON:
        hour += NOON
    elif half_day == "am" and hour == NOON:
        hour = 0
    elif half_day is None and loose and 1 <= hour <= 6:
        hour += NOON
    if hour == 24:
        hour = 0
    return time(hour, minute) if hour < 24 and minute < 60 else None
