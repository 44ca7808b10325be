"""Typical months of ten cities, rounded, and a day drawn from them. Sample data: knows no forecast."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

Condition = Literal["sunny", "cloudy", "rainy", "snowy"]
_SNOW_BELOW_C: Final = 2
_SPREAD_C: Final = 3


@dataclass(frozen=True, slots=True)
class City:
    """`names` are all the ways to say it, lower case; the monthly rows start with January."""

    japanese: str
    english: str
    names: frozenset[str]
    highs_c: tuple[int, ...]
    lows_c: tuple[int, ...]
    rain_percent: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Day:
    condition: Condition
    high_c: int
    low_c: int
    rain_percent: int


@cache
def cities() -> tuple[City, ...]:
    text = resources.files(__package__ or "").joinpath("climate.json").read_text("utf-8")
    rows: list[dict[str, Any]] = json.loads(text)["cities"]
    return tuple(
        City(
            japanese=row["ja"],
            english=row["en"],
            names=frozenset(name.lower() for name in (row["ja"], row["en"], *row["also"])),
            highs_c=tuple(row["high_c"]),
            lows_c=tuple(row["low_c"]),
            rain_percent=tuple(row["rain_percent"]),
        )
        for row in rows
    )


def find_city(said: str) -> City | None:
    """Find a city by its name, also with 都, 府, 市 or "city" behind it."""
    name = said.strip().lower().removesuffix(" city")
    bare = name[:-1] if len(name) > 2 and name[-1] in "都府市県" else name
    return next((city for city in cities() if name in city.names or bare in city.names), None)


def typical_day(city: City, day: date) -> Day:
    """Return the same invented weather for the same city and day, near the month's averages."""
    month = day.month - 1
    draw = zlib.crc32(f"{city.english} {day.isoformat()}".encode())
    shift = draw % (2 * _SPREAD_C + 1) - _SPREAD_C
    rain = city.rain_percent[month]
    high, low = city.highs_c[month] + shift, city.lows_c[month] + shift
    luck = draw // 7 % 100
    condition: Condition = "sunny"
    if luck < rain:
        condition = "snowy" if (high + low) / 2 < _SNOW_BELOW_C else "rainy"
    elif luck < rain + (100 - rain) // 3:
        condition = "cloudy"
    return Day(condition, high, low, rain)
