"""Dates as people say them, on a fixed today: Saturday 21 November 2026, 9:30."""

from __future__ import annotations

from datetime import datetime

import pytest

from kaiwa.engines.dialogue.dates_en import parse_en
from kaiwa.engines.dialogue.dates_ja import parse_ja
from kaiwa.engines.dialogue.when import When

NOW = datetime.fromisoformat("2026-11-21T09:30:00+09:00")


def shown(when: When) -> str:
    first = " ".join(str(part) for part in (when.date, when.time and when.time.strftime("%H:%M")) if part)
    last = " ".join(
        str(part) for part in (when.end_date, when.end_time and when.end_time.strftime("%H:%M")) if part
    )
    return f"{first} > {last}" if last else first


JAPANESE = {
    "来週の土曜日に東京でレンタカーを借りたいんですが": "2026-11-28",
    "らいしゅうのどようび": "2026-11-28",
    "再来週の金曜日から3日間": "2026-12-04 > 2026-12-06",
    "土曜日": "2026-11-28",
    "いや、日曜日で": "2026-11-22",
    "今週の金曜日": "2026-11-20",
    "次の月曜日": "2026-11-23",
    "12月30日から1月3日": "2026-12-30 > 2027-01-03",
    "12月30日から1月3日まで": "2026-12-30 > 2027-01-03",
    "11月28日": "2026-11-28",
    "十一月二十八日": "2026-11-28",
    "２８日の１０時から": "2026-11-28 10:00",
    "二十八日": "2026-11-28",
    "5日": "2026-12-05",
    "1月10日": "2027-01-10",
    "今日": "2026-11-21",
    "明日の午後3時半": "2026-11-22 15:30",
    "あさっての正午": "2026-11-23 12:00",
    "しあさって": "2026-11-24",
    "3日後": "2026-11-24",
    "二週間後": "2026-12-05",
    "来月の3日": "2026-12-03",
    "10時から6時": "10:00 > 18:00",
    "10時から18時": "10:00 > 18:00",
    "十時から六時まで": "10:00 > 18:00",
    "東京駅前店で、10時から18時まで": "10:00 > 18:00",
    "朝9時から夕方5時まで": "09:00 > 17:00",
    "午前10時から午後6時": "10:00 > 18:00",
    "午後1時から3時まで": "13:00 > 15:00",
    "午後3時半": "15:30",
    "14時15分": "14:15",
    "18時まで": " > 18:00",
    "10:00から18:00": "10:00 > 18:00",
    "11月28日の10時から11月29日の18時まで": "2026-11-28 10:00 > 2026-11-29 18:00",
    "来週の土曜日の10時から6時まで": "2026-11-28 10:00 > 2026-11-28 18:00",
    "12月1日から2泊3日": "2026-12-01 > 2026-12-03",
    "明日から2泊3日で羽田空港店": "2026-11-22 > 2026-11-24",
    "来週の金曜日から二泊": "2026-11-27 > 2026-11-29",
    "明日10時から3時間": "2026-11-22 10:00 > 2026-11-22 13:00",
    "今週末": "2026-11-21",
    "来週末": "2026-11-28",
    "2026-12-24": "2026-12-24",
    "12/24": "2026-12-24",
    "来週の土用日": "2026-11-28",
    "クリスマス": "2026-12-25",
    "大人二人です": "",
    "コンパクトでお願いします": "",
    "99月99日": "",
    "25時": "",
}
ENGLISH = {
    "I'd like to rent a car next Saturday": "2026-11-28",
    "no, make it Sunday": "2026-11-22",
    "tomorrow at 3 pm": "2026-11-22 15:00",
    "the day after tomorrow": "2026-11-23",
    "from ten to six": "10:00 > 18:00",
    "from 10 am to 6 pm": "10:00 > 18:00",
    "10 a.m. until 6 p.m.": "10:00 > 18:00",
    "at half past three": "15:30",
    "at noon": "12:00",
    "November 28th": "2026-11-28",
    "the 28th of November": "2026-11-28",
    "from December 30th to January 3rd": "2026-12-30 > 2027-01-03",
    "on December first for two nights": "2026-12-01 > 2026-12-03",
    "in three days": "2026-11-24",
    "a table for two at seven": "07:00",
    "for four people tomorrow at 19:30": "2026-11-22 19:30",
    "Monday from 9 in the morning": "2026-11-23 09:00",
    "two large pizzas": "",
    "on the twenty-eighth": "2026-11-28",
    "Tokyo station, ten to six": "10:00 > 18:00",
}


@pytest.mark.parametrize(("said", "meant"), JAPANESE.items())
def test_a_japanese_period_is_understood(said: str, meant: str) -> None:
    assert shown(parse_ja(said, NOW)) == meant


@pytest.mark.parametrize(("said", "meant"), ENGLISH.items())
def test_an_english_period_is_understood(said: str, meant: str) -> None:
    assert shown(parse_en(said, NOW)) == meant
