"""The judge reads tool arguments and the row; what was said aloud does not move it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from kaiwa.apps.demo.judge import ObservedCall, judge_call, judge_row
from kaiwa.apps.demo.script import Moment, bundled_script, load_script

SATURDAY = date(2026, 11, 21)
SCRIPT = load_script(bundled_script("ja"))
SHOPS = json.dumps(
    {"locations": [{"id": "loc1", "name": "東京駅前店"}, {"id": "loc2", "name": "新宿西口店"}]}
)
PERIOD = {"startDate": "2026-11-28T10:00:00", "endDate": "2026-11-28T18:00:00"}
BOOKING = {"locationId": "loc1", **PERIOD, "vehicleType": "コンパクト", "customerName": "山田 太郎"}
ROW = {
    "vehicle_type": "コンパクト",
    "customer_name": "山田太郎",
    "start": "2026-11-28T01:00:00Z",
    "end": "2026-11-28T09:00:00Z",
}


def calls(booking: dict[str, Any] = BOOKING, looked_up: dict[str, Any] | None = None) -> list[ObservedCall]:
    looked_up = looked_up or {"locationId": "loc1", **PERIOD}
    return [
        ObservedCall(line_id="day-and-city", name="list_locations", arguments="{}", output=SHOPS),
        ObservedCall(line_id="shop-and-times", name="get_availability", arguments=json.dumps(looked_up)),
        ObservedCall(line_id="confirm", name="create_reservation", arguments=json.dumps(booking)),
    ]


def test_a_call_that_says_what_the_script_says_is_understood() -> None:
    assert judge_call(SCRIPT, calls(), SATURDAY) == []
    assert judge_row(SCRIPT, ROW, SATURDAY) == []


@pytest.mark.parametrize(
    ("argument", "value", "blamed"),
    [
        ("vehicleType", "ミニバン", "vehicle"),
        ("customerName", "羽田太郎", "name"),
        ("startDate", "2026-11-21T10:00:00", "confirm"),
        ("locationId", "loc2", "confirm"),
        ("endDate", None, "confirm"),
    ],
)
def test_a_wrong_argument_names_the_line_that_carried_it(
    argument: str, value: str | None, blamed: str
) -> None:
    (found,) = judge_call(SCRIPT, calls(booking=BOOKING | {argument: value}), SATURDAY)

    assert found.line_id == blamed and argument in found.problem


def test_times_with_an_offset_are_compared_on_the_shops_clock() -> None:
    looked_up = {
        "locationId": "loc1",
        "startDate": "2026-11-28T01:00:00Z",
        "endDate": "2026-11-28T18:00:00+09:00",
    }

    assert judge_call(SCRIPT, calls(looked_up=looked_up), SATURDAY) == []


def test_a_tool_that_was_never_called_is_a_misunderstanding_of_its_line() -> None:
    found = judge_call(SCRIPT, calls()[:2], SATURDAY)

    assert [one.line_id for one in found] == ["confirm"]


def test_a_call_made_after_another_line_does_not_count() -> None:
    late = [*calls()[:1], calls()[1].__class__(line_id="vehicle", name="get_availability", arguments="{}")]

    assert "shop-and-times" in [one.line_id for one in judge_call(SCRIPT, late, SATURDAY)]


def test_no_row_is_a_misunderstanding_even_when_every_call_was_right() -> None:
    (found,) = judge_row(SCRIPT, None, SATURDAY)

    assert found.line_id == "confirm"


def test_the_row_is_compared_field_by_field() -> None:
    found = judge_row(SCRIPT, ROW | {"customer_name": "佐藤", "start": "2026-11-28T10:00:00Z"}, SATURDAY)

    assert len(found) == 2


@pytest.mark.parametrize(("today", "expected"), [(21, 28), (22, 28), (16, 28), (23, 5)])
def test_next_weeks_saturday_is_in_the_monday_based_next_week(today: int, expected: int) -> None:
    moment = Moment(weekday="saturday", weeks=1, time="10:00").on(date(2026, 11, today))

    assert (moment.day, moment.hour) == (expected, 10)
