"""The rental car desk's real tools, talked to: what was booked is found, changed and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from scripted_caller import NOW, Caller, Handler
from tests.apps.rentacar_desk import call

from kaiwa.apps.rentacar.agent import rentacar_agent
from kaiwa.apps.rentacar.fleet import Reservation
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.tools.agent import Agent

BOOKING: dict[str, tuple[str, ...]] = {
    "ja": (
        "来週の土曜日に東京でレンタカーを借りたいのですが",
        "東京駅前店で、朝10時から夕方6時まで",
        "コンパクトでお願いします",
        "山田太郎です",
        "はい、お願いします",
    ),
    "en": (
        "I'd like to rent a car in Tokyo next Saturday",
        "Tokyo Station, from ten in the morning until six in the evening",
        "A compact, please",
        "My name is John Smith",
        "Yes, please",
    ),
}
Talk = Callable[..., tuple[str, list[tuple[str, dict[str, Any]]], Reservation]]


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    """Book R-001 as a caller would, say the lines; return what was last spoken, the calls, the row."""

    def say(language: Literal["ja", "en"], *lines: str) -> Any:
        agent = rentacar_agent(tmp_path / "desk.db", language=language, clock=lambda: NOW)
        caller = Caller([(spec, handler(agent, spec.name)) for spec in agent.specs])
        for line in BOOKING[language]:
            caller.say(line)
        assert caller.calls[-1][0] == "create_reservation"
        before = len(caller.calls)
        spoken = [caller.say(line) for line in lines]
        (row,) = asyncio.run(SqliteReservations(tmp_path / "desk.db").reservations())
        return spoken[-1], caller.calls[before:], row

    return say


def handler(agent: Agent, name: str) -> Handler:
    def run(arguments: dict[str, Any]) -> Any:
        return asyncio.run(call(agent, name, **arguments))[0]

    return run


@pytest.mark.parametrize(
    ("language", "lines", "said"),
    [
        ("ja", ("予約を取り消したいのですが", "はい"), "予約番号R-001の取り消しが完了しました。"),
        ("ja", ("やっぱりさっきの予約をキャンセルしてください", "はい"), "取り消しが完了しました。"),
        ("en", ("I'd like to cancel my reservation", "yes"), "Reservation R-001 has been cancelled."),
    ],
)
def test_a_booking_is_cancelled_after_a_read_back(
    talk: Talk, language: str, lines: tuple[str, ...], said: str
) -> None:
    spoken, calls, row = talk(language, *lines)

    assert calls == [("cancel_reservation", {"reservationNumber": "R-001"})]
    assert said in spoken
    assert row.status == "cancelled"


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("ja", ("予約を変更したいです", "日曜日の9時から17時にしてください", "はい")),
        ("ja", ("予約番号R-001を日曜日の9時から17時に変更してください", "はい")),
        ("en", ("Please change reservation R-001 to Sunday from nine to five", "yes")),
        ("en", ("I want to change my booking", "Sunday from nine to five", "yes")),
    ],
)
def test_the_times_of_a_booking_are_changed_and_nothing_else(
    talk: Talk, language: str, lines: tuple[str, ...]
) -> None:
    spoken, calls, row = talk(language, *lines)

    (name, arguments), *_ = calls
    assert name == "change_reservation"
    assert arguments == {
        "reservationNumber": "R-001",
        "startDate": "2026-11-22T09:00:00+09:00",
        "endDate": "2026-11-22T17:00:00+09:00",
    }
    assert ("変更が完了しました" if language == "ja" else "has been changed") in spoken
    assert (row.period.start.day, row.vehicle.vehicle_id) == (22, "v-loc1-001")


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("ja", ("予約番号R-001の予約をミニバンに変更してください", "はい")),
        ("en", ("Can I change my booking to a minivan?", "yes please")),
    ],
)
def test_the_vehicle_type_of_a_booking_is_changed(talk: Talk, language: str, lines: tuple[str, ...]) -> None:
    _, calls, row = talk(language, *lines)

    assert [name for name, _ in calls] == ["change_reservation"]
    assert row.vehicle.vehicle_id == "v-loc1-003"
    assert row.period.start.day == 28


@pytest.mark.parametrize(
    ("language", "line", "number"),
    [
        ("ja", "予約を確認したいのですが", "予約番号R-001"),
        ("ja", "予約番号を忘れました", "予約番号R-001"),
        ("en", "Could you look up my reservation?", "Reservation R-001"),
    ],
)
def test_a_booking_is_looked_up_and_not_made_again(talk: Talk, language: str, line: str, number: str) -> None:
    spoken, calls, _ = talk(language, line)

    assert [name for name, _ in calls] == ["find_reservation"]
    assert number in spoken


def test_a_change_that_is_not_possible_is_refused_with_what_is(talk: Talk) -> None:
    spoken, calls, row = talk("ja", "予約をSUVに変更してください", "はい")

    assert [name for name, _ in calls] == ["change_reservation"]
    assert "SUVがありません" in spoken
    assert row.vehicle.vehicle_type == "コンパクト"
