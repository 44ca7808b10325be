"""The weather: quick, the same every time, and honest about being a sample."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from kaiwa.apps.weather.agent import weather_agent
from kaiwa.apps.weather.climate import cities, find_city, typical_day

from .rentacar_desk import call

AGENT = weather_agent(today=lambda: date(2026, 11, 21))


async def test_the_answer_names_city_day_and_that_it_is_a_sample() -> None:
    answer, failed = await call(AGENT, "get_weather", city="東京")

    assert not failed
    assert (answer["city"], answer["date"]) == ("東京", "2026-11-21")
    assert answer["condition"] in ("晴れ", "くもり", "雨")
    assert answer["note"] == "見本のデータです。実際の予報ではありません。"


@pytest.mark.parametrize(
    ("arguments", "city", "day"),
    [
        ({"city": "大阪市", "day": "明日"}, "大阪", "2026-11-22"),
        ({"city": "札幌", "day": "今日"}, "札幌", "2026-11-21"),
        ({"city": "東京都", "day": "2026-11-28"}, "東京", "2026-11-28"),
        ({"city": "Sapporo City", "day": "tomorrow"}, "札幌", "2026-11-22"),
        ({"city": "京都", "day": None}, "京都", "2026-11-21"),
    ],
)
async def test_cities_and_days_are_understood_as_people_say_them(
    arguments: dict[str, Any], city: str, day: str
) -> None:
    answer, _ = await call(AGENT, "get_weather", **arguments)

    assert (answer["city"], answer["date"]) == (city, day)


async def test_unknown_cities_and_days_are_refused_with_what_would_do() -> None:
    city, city_failed = await call(AGENT, "get_weather", city="アトランティス")
    day, day_failed = await call(AGENT, "get_weather", city="東京", day="いつか")

    assert city_failed
    assert city["error"].startswith("その都市のデータはありません。札幌、仙台、東京")
    assert day_failed
    assert "2026-11-28" in day["error"]


async def test_the_english_agent_answers_in_english() -> None:
    answer, _ = await call(weather_agent("en"), "get_weather", city="osaka", day="2026-07-01")

    assert answer["city"] == "Osaka"
    assert answer["condition"] in ("sunny", "cloudy", "rainy")
    assert answer["note"] == "Sample data, not a forecast."


def test_the_schema_shows_the_day_as_a_date_that_may_be_left_out() -> None:
    (spec,) = AGENT.specs

    assert spec.changes is False
    assert spec.parameters["required"] == ["city"]
    assert spec.parameters["properties"]["day"]["format"] == "date"


@pytest.mark.parametrize("city", cities(), ids=lambda city: city.english)
def test_every_day_of_a_year_is_repeatable_and_within_reason(city: Any) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    weather = [typical_day(city, day) for day in days]

    assert weather == [typical_day(city, day) for day in days]
    assert all(day.low_c < day.high_c and day.low_c > -15 and day.high_c < 40 for day in weather)
    assert {day.condition for day in weather} >= {"sunny", "cloudy", "rainy"}
    assert any(day.condition == "snowy" for day in weather) is (city.english in ("Sapporo", "Sendai"))


def test_names_of_cities_are_unique() -> None:
    for city in cities():
        assert all(find_city(name) is city for name in city.names)
