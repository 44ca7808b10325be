"""How written dates, times and codes are said."""

from __future__ import annotations

import pytest

from kaiwa.engines.speech.reading_en import read_english
from kaiwa.engines.speech.reading_ja import read_japanese


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026-11-28", "十一月二十八日"),
        ("2026-01-10です", "一月十日です"),
        ("2026/12/01から", "十二月一日から"),
        ("11/28の予約", "十一月二十八日の予約"),
        ("10:00から18:00", "十時から十八時"),
        ("9:30", "九時三十分"),
        ("10:00〜18:00", "十時から十八時"),
        ("0:05", "零時五分"),
        ("R-001", "アール・ゼロゼロイチ"),
        ("予約番号はR-125です", "予約番号はアール・イチニゴです"),
        ("SUVとETC", "エスユーブイとイーティーシー"),
        ("03-1234-5678", "ゼロサン、イチニーサンヨン、ゴーロクナナハチ"),
        ("¥8,800", "8,800円"),
        ("￥7700です", "7700円です"),
        ("8,800円", "8,800円"),
        ("Pythonの本", "パイソンの本"),
        ("**大事**です", "大事です"),
        ("[地図](https://example.com/a)をどうぞ", "地図をどうぞ"),
        ("晴れです☀️😀", "晴れです"),
        ("2026-13-40", "2026-13-40"),
        ("二泊三日", "二泊三日"),
    ],
)
def test_japanese_is_read_as_a_person_reads_it(written: str, said: str) -> None:
    assert read_japanese(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026-11-28", "November twenty-eighth"),
        ("from 10:00 to 18:30", "from 10 a m to 6 30 p m"),
        ("at 9:05", "at 9 oh 5 a m"),
        ("5:30 pm", "5 30 p m"),
        ("R-001", "R zero zero one"),
        ("¥8,800", "8800 yen"),
        ("03-1234-5678", "zero three, one two three four, five six seven eight"),
        ("**bold** text", "bold text"),
    ],
)
def test_english_is_read_as_a_person_reads_it(written: str, said: str) -> None:
    assert read_english(written) == said
