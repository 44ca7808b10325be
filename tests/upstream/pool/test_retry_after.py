"""Every form in which a service says how long it wants to be left alone."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiwa.upstream.pool.retry_after import A_DAY_S, retry_after_s, span_s

WALL_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after": "2", "retry-after-ms": "1350"}, 1.35),
        ({"retry-after": "86400"}, A_DAY_S),
        ({"retry-after": "9999999"}, A_DAY_S),
        ({"retry-after": formatdate(WALL_S + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(WALL_S - 90, usegmt=True)}, 0.0),
        ({"retry-after": formatdate(WALL_S + 3 * A_DAY_S, usegmt=True)}, A_DAY_S),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, WALL_S) == seconds


def test_a_date_is_compared_with_the_clock_of_who_sent_it() -> None:
    theirs = WALL_S - 7200
    headers = {"retry-after": formatdate(theirs + 30, usegmt=True), "date": formatdate(theirs, usegmt=True)}
    assert retry_after_s(headers, WALL_S) == 30.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("12", 12.0),
        ("1d", 86400.0),
        ("later", None),
    ],
)
def test_a_span_is_read_as_openai_writes_it(text: str, seconds: float | None) -> None:
    assert span_s(text) == pytest.approx(seconds) if seconds is not None else span_s(text) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_whatever_gives_more_than_a_day_or_an_error(said: str, date: str) -> None:
    seconds = retry_after_s({"retry-after": said, "date": date}, WALL_S)
    assert seconds is None or 0 <= seconds <= A_DAY_S
