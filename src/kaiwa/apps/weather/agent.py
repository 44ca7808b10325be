"""The weather as an agent: one quick tool. Knows how to word a day; the table is next door."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, WithJsonSchema

from kaiwa.apps.weather.climate import City, Condition, cities, find_city, typical_day
from kaiwa.errors import ToolError
from kaiwa.tools.agent import Agent
from kaiwa.tools.function import Tool, tool

Language = Literal["ja", "en"]
Today = Callable[[], date]

INSTRUCTIONS: Final = {
    "ja": "あなたは天気を案内します。いつも日本語で短く話し、天気は get_weather で調べてください。"
    "データは見本で、実際の予報ではないことを聞かれたら伝えてください。",
    "en": "You tell the weather. Speak English, in short sentences, and look it up with get_weather. "
    "The data is a sample and no forecast; say so when asked.",
}
_NOTE: Final = {"ja": "見本のデータです。実際の予報ではありません。", "en": "Sample data, not a forecast."}
_UNKNOWN_DAY: Final = {
    "ja": "日付は2026-11-28のような形でお願いします。",
    "en": "Give the day as a date such as 2026-11-28.",
}
_CONDITIONS: Final[dict[Condition, str]] = {
    "sunny": "晴れ",
    "cloudy": "くもり",
    "rainy": "雨",
    "snowy": "雪",
}
_WORDS: Final = {
    "今日": 0,
    "本日": 0,
    "明日": 1,
    "あした": 1,
    "明後日": 2,
    "あさって": 2,
    "today": 0,
    "tomorrow": 1,
}

# A model sees a date; a word is taken as well, because models that know no calendar send it.
DayJa = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "format": "date"}),
    Field(description="日付（YYYY-MM-DD）。省略すると今日"),
]
DayEn = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "format": "date"}),
    Field(description="Date (YYYY-MM-DD); today if left out"),
]


def tokyo_today() -> date:
    return datetime.now(ZoneInfo("Asia/Tokyo")).date()


def weather_tools(language: Language = "ja", today: Today = tokyo_today) -> list[Tool[..., Any]]:
    """Return get_weather in the given language. `today` gives the present day."""

    def report(city: str, day: str | None) -> dict[str, Any]:
        found = find_city(city)
        if found is None:
            raise ToolError(_unknown_city(language))
        return _answer(found, _read_day(day, today(), language), language)

    @tool(name="get_weather", changes=False)
    def weather_ja(
        city: Annotated[str, Field(description="都市の名前（例: 東京）")], day: DayJa = None
    ) -> Any:
        """都市の天気を調べます。"""
        return report(city, day)

    @tool(name="get_weather", changes=False)
    def weather_en(
        city: Annotated[str, Field(description="Name of the city, for example Tokyo")], day: DayEn = None
    ) -> Any:
        """Look up the weather of a city."""
        return report(city, day)

    return [weather_en if language == "en" else weather_ja]


def weather_agent(language: Language = "ja", today: Today = tokyo_today) -> Agent:
    return Agent(
        name="weather",
        instructions=INSTRUCTIONS[language],
        tools=weather_tools(language, today),
        language=language,
        time_zone="Asia/Tokyo",
    )


def _read_day(said: str | None, today: date, language: Language) -> date:
    if said is None or said.strip().lower() in _WORDS:
        return today + timedelta(days=_WORDS[(said or "today").strip().lower()])
    try:
        return datetime.fromisoformat(said.strip()).date()
    except ValueError:
        raise ToolError(_UNKNOWN_DAY[language]) from None


def _answer(city: City, when: date, language: Language) -> dict[str, Any]:
    day = typical_day(city, when)
    return {
        "success": True,
        "city": city.english if language == "en" else city.japanese,
        "date": when,
        "condition": day.condition if language == "en" else _CONDITIONS[day.condition],
        "highC": day.high_c,
        "lowC": day.low_c,
        "precipitationPercent": day.rain_percent,
        "note": _NOTE[language],
    }


def _unknown_city(language: Language) -> str:
    if language == "en":
        return f"There is no data for that city. There is for {', '.join(city.english for city in cities())}."
    return f"その都市のデータはありません。{'、'.join(city.japanese for city in cities())}がわかります。"
