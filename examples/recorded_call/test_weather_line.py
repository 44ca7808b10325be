"""A recorded call as a regression test: no key, no network. Run it with: pytest examples/recorded_call"""

from __future__ import annotations

import asyncio

import pytest
from weather_line import ask


@pytest.mark.kaiwa_cassette("weather_line.jsonl")
def test_the_weather_is_asked_for_and_told(kaiwa_cassette):
    said = asyncio.run(ask(f"{kaiwa_cassette.url}/v1", kaiwa_cassette.key, "東京の天気は？"))
    assert "22度" in said
