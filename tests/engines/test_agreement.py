"""Which words of drafts are told, and how a final text goes on from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.engines.agreement import agreed, going_on


@pytest.mark.parametrize(
    ("told", "before", "now", "news"),
    [
        ("", "", "来週の", ""),
        ("", "来週の土曜日に車を", "来週の土曜日に車を借りたい", "来週の土曜日に車を"),
        ("来週の", "来週の土曜日に", "来週の土曜日には", "土曜日に"),
        ("", "I want to.", "I want to go.", "I want to"),
        ("I want", "I want to go.", "I want to go.", " to go"),
        ("", "10時から1", "10時から18時", "10時から"),
        ("", "What is", "What's the weather", ""),
        ("", "What's the", "What's the weather", "What's the"),
        ("I wan", "I wanted to go home", "I wanted to go", "ted to go"),
    ],
)
def test_what_two_drafts_agree_on_is_told(told: str, before: str, now: str, news: str) -> None:
    assert agreed(told, before, now) == news


@pytest.mark.parametrize(
    ("told", "text", "rest"),
    [
        ("", "こんにちは。", "こんにちは。"),
        ("こんにち", "こんにちは。", "は。"),
        ("来週の土曜に車", "来週の土曜日に車を借りたいです。", "を借りたいです。"),
        ("I want to", "I wanted to go.", " go."),
        ("Hello my name", "Hello, my name is Bob.", " is Bob."),
        ("three days", "", ""),
        ("three days and more", "Three days.", ""),
    ],
)
def test_a_text_goes_on_behind_what_was_told(told: str, text: str, rest: str) -> None:
    assert going_on(told, text) == rest


@given(st.text("ab c。.日", max_size=400), st.text("ab c。.日", max_size=400))
def test_what_goes_on_is_always_the_end_of_the_text(told: str, text: str) -> None:
    assert text.endswith(going_on(told, text))
    assert going_on("", text) == text
    assert going_on(text, text) == ""
