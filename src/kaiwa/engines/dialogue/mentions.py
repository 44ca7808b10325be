"""Dates and times where they stand in a text, and the period that they make together. Knows no language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from kaiwa.engines.dialogue.when import When, coming, completed


@dataclass(frozen=True, slots=True)
class Mention:
    """A date or a time in a text: where it stands and which end the words after it make it."""

    start: int
    end: int
    role: str
    date: date | None = None
    time: time | None = None
    bare_weekday: bool = False


def period(
    dates: list[Mention],
    times: list[Mention],
    ends: Callable[[list[Mention]], tuple[Any, Any]],
    *,
    days: int | None,
    minutes: int | None,
) -> When:
    """Return what mentions and lengths say together; `ends` finds the first and the last of its values."""
    first_date, last_date = ends(dates)
    first_time, last_time = ends(times)
    if first_date and last_date and last_date < first_date:
        last_date = coming(first_date, last_date.month, last_date.day)
    when = When(
        date=first_date,
        time=first_time,
        end_date=last_date,
        end_time=last_time,
        days=days,
        minutes=minutes,
        weekday_only=len(dates) == 1 and dates[0].bare_weekday,
        point=len(dates) < 2 and len(times) < 2 and all(mention.role == "" for mention in (*dates, *times)),
    )
    return completed(when) if when else When()
