"""Finding, changing and cancelling through the desk's tools; local times on the days the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kaiwa.apps.rentacar.agent import rentacar_agent
from kaiwa.apps.rentacar.fleet import Location, Vehicle
from kaiwa.apps.rentacar.reasons import Refused
from kaiwa.apps.rentacar.service import RentacarService, Wish, read_number
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.tools.agent import Agent

from .rentacar_desk import call, present

SATURDAY: dict[str, Any] = {"startDate": "2026-11-28T10:00:00", "endDate": "2026-11-28T18:00:00"}
NEW_YORK = ZoneInfo("America/New_York")
BRANCH = Location(
    "ny1", "NY", "", "", "America/New_York", (Vehicle("n1", "ny1", "SUV", "NY 1", "Subaru", "XV"),)
)


@pytest.fixture
async def desk(tmp_path: Path) -> Agent:
    """A desk with the reservation R-001 of 山田太郎 for a compact at Tokyo station."""
    agent = rentacar_agent(tmp_path / "desk.db", clock=present)
    booking = {"locationId": "loc1", "customerName": "山田太郎", "vehicleType": "コンパクト", **SATURDAY}
    booked, _ = await call(agent, "create_reservation", **booking)
    assert booked["reservationNumber"] == "R-001"
    return agent


async def test_a_customer_finds_the_reservation_by_name(desk: Agent) -> None:
    found, failed = await call(desk, "find_reservation", customerName="山田　太郎")

    assert not failed
    (one,) = found["reservations"]
    assert (one["reservationNumber"], one["locationName"]) == ("R-001", "東京駅前店")
    assert one["period"] == {
        "startDate": "2026-11-28T10:00:00+09:00",
        "endDate": "2026-11-28T18:00:00+09:00",
    }


async def test_a_part_of_the_name_will_do_only_with_the_number(desk: Agent) -> None:
    with_number, _ = await call(desk, "find_reservation", customerName="山田", reservationNumber="r001")
    without, failed = await call(desk, "find_reservation", customerName="山田")

    assert len(with_number["reservations"]) == 1
    assert failed
    assert without == {"error": "山田様のお名前では、これからのご予約が見つかりません。"}


@pytest.mark.parametrize(
    ("change", "period", "vehicle", "shop"),
    [
        ({"vehicleType": "ミニバン"}, ("28T10:00", "28T18:00"), "v-loc1-003", "loc1"),
        ({"startDate": "2026-11-29T09:00:00"}, ("29T09:00", "29T17:00"), "v-loc1-001", "loc1"),
        ({"endDate": "2026-11-28T20:00:00"}, ("28T10:00", "28T20:00"), "v-loc1-001", "loc1"),
        ({"locationId": "羽田空港店"}, ("28T10:00", "28T18:00"), "v-loc3-001", "loc3"),
    ],
)
async def test_only_what_is_named_is_changed(
    desk: Agent, change: dict[str, str], period: tuple[str, str], vehicle: str, shop: str
) -> None:
    changed, failed = await call(desk, "change_reservation", reservationNumber="R-001", **change)

    assert not failed
    assert changed["reservationNumber"] == "R-001"
    assert changed["vehicle"]["vehicleId"] == vehicle
    assert changed["locationId"] == shop
    assert changed["period"] == {
        "startDate": f"2026-11-{period[0]}:00+09:00",
        "endDate": f"2026-11-{period[1]}:00+09:00",
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "予約番号R-001のどこを変更するか、お知らせください。"),
        ({"vehicleType": "コンパクト"}, "予約番号R-001のどこを変更するか、お知らせください。"),
        ({"vehicleType": "SUV"}, "東京駅前店では、その期間に空いているSUVがありません。"),
        ({"startDate": "2026-11-20T10:00:00"}, "はもう過ぎています。"),
        ({"endDate": "2026-11-28T09:00:00"}, "返却の日時が貸出の日時より後になっていません。"),
        (
            {"reservationNumber": "R-007", "vehicleType": "ミニバン"},
            "予約番号R-007のご予約は見つかりません。",
        ),
    ],
)
async def test_a_change_that_cannot_be_says_why(desk: Agent, change: dict[str, str], sentence: str) -> None:
    answer, failed = await call(desk, "change_reservation", **{"reservationNumber": "R-001", **change})

    assert failed
    assert sentence in answer["error"]


async def test_a_cancelled_reservation_is_gone_for_the_caller(desk: Agent) -> None:
    cancelled, failed = await call(desk, "cancel_reservation", reservationNumber="1番")

    assert not failed
    assert (cancelled["reservationNumber"], cancelled["status"]) == ("R-001", "cancelled")
    for name, more in (("cancel_reservation", {}), ("change_reservation", {"vehicleType": "ミニバン"})):
        answer, failed = await call(desk, name, reservationNumber="R-001", **more)
        assert failed and "見つかりません" in answer["error"]
    assert (await call(desk, "find_reservation", customerName="山田太郎"))[1]


async def test_a_rental_that_has_begun_may_only_be_brought_back_at_another_time(tmp_path: Path) -> None:
    now = datetime(2026, 11, 28, 1, tzinfo=UTC)
    clock = [now]
    service = RentacarService(SqliteReservations(tmp_path / "desk.db"), lambda: clock[0])
    start, end = datetime(2026, 11, 28, 11), datetime(2026, 11, 28, 18)
    await service.reserve("loc1", start, end, "山田", "ミニバン")
    clock[0] = datetime(2026, 11, 28, 5, tzinfo=UTC)

    _, changed = await service.change("R-001", Wish(end=datetime(2026, 11, 28, 20)))
    assert changed.period.end.hour == 20
    with pytest.raises(Refused, match="HasBegun"):
        await service.change("R-001", Wish(start=datetime(2026, 11, 28, 16)))
    with pytest.raises(Refused, match="HasBegun"):
        await service.cancel("R-001")


async def test_a_booking_tried_twice_with_one_key_is_one(tmp_path: Path) -> None:
    store = SqliteReservations(tmp_path / "desk.db")
    service = RentacarService(store, present)
    start, end = datetime(2026, 11, 28, 10), datetime(2026, 11, 28, 18)

    first = await service.reserve("loc1", start, end, "山田", "コンパクト", "conversation:call")
    again = await service.reserve("loc1", start, end, "山田", "コンパクト", "conversation:call")

    assert first == again
    assert len(await store.reservations()) == 1


@pytest.mark.parametrize("said", ["R-001", "r001", "1", "００１", "予約番号1番", " R 001 "])
def test_numbers_are_read_as_people_write_them(said: str) -> None:
    assert read_number(said) == "R-001"


@pytest.fixture
def branch(tmp_path: Path) -> RentacarService:
    """A shop where the clocks are put back on 1 November and forward on 14 March 2027, both at two."""
    store = SqliteReservations(tmp_path / "ny.db", shops=[BRANCH])
    return RentacarService(store, lambda: datetime(2026, 10, 1, tzinfo=UTC))


async def test_the_day_the_clocks_go_back_has_an_hour_more(branch: RentacarService) -> None:
    _, booked = await branch.reserve("ny1", datetime(2026, 11, 1), datetime(2026, 11, 2), "Ann")

    assert booked.period.end.timestamp() - booked.period.start.timestamp() == 25 * 3600
    assert (booked.period.start.isoformat(), booked.period.end.isoformat()) == (
        "2026-11-01T00:00:00-04:00",
        "2026-11-02T00:00:00-05:00",
    )


async def test_the_hour_that_comes_twice_is_two_hours(branch: RentacarService) -> None:
    half_past_one = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)
    first = await branch.reserve("ny1", half_past_one, half_past_one.replace(fold=1), "Ann")

    assert first[1].period.start.utcoffset() != first[1].period.end.utcoffset()
    second = half_past_one.replace(fold=1)
    _, booked = await branch.reserve("ny1", second, datetime(2026, 11, 1, 3), "Bob")
    assert booked.period.start.timestamp() == first[1].period.end.timestamp()


async def test_a_time_that_the_clocks_skip_is_the_one_they_show_instead(branch: RentacarService) -> None:
    _, booked = await branch.reserve("ny1", datetime(2027, 3, 14, 2, 30), datetime(2027, 3, 14, 9), "Ann")

    assert booked.period.start.isoformat() == "2027-03-14T03:30:00-04:00"


async def test_a_reservation_moved_over_the_change_keeps_its_local_times(branch: RentacarService) -> None:
    await branch.reserve("ny1", datetime(2026, 10, 31, 10), datetime(2026, 11, 1, 18), "Ann")

    _, moved = await branch.change("R-001", Wish(start=datetime(2026, 11, 7, 10)))

    assert (moved.period.start.hour, moved.period.end.hour, moved.period.end.day) == (10, 18, 8)
