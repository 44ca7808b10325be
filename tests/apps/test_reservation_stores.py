"""What every store of reservations promises, shown on each: SQLite, PostgreSQL, Cosmos DB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kaiwa.apps.rentacar.fleet import Location, Period, Request, Vehicle
from kaiwa.apps.rentacar.shops import SHOPS
from kaiwa.apps.rentacar.store import NoSuchReservationError, ReservationStore, StillReservedError
from kaiwa.apps.rentacar.stores import open_store

from .rentacar_desk import double_bookings, minivan, period
from .rivals import ENDLESS, RIVAL, program


async def test_a_fresh_store_has_the_sample_shops_and_nothing_booked(store: ReservationStore) -> None:
    assert await store.locations() == SHOPS
    assert await store.reservations() == ()
    assert len(await store.free_vehicles(period(10, 18))) == 10


async def test_a_booking_is_found_again_as_it_was_made(store: ReservationStore) -> None:
    booked = await store.reserve(minivan(10, 18))

    assert booked is not None
    assert await store.find(booked.number) == booked
    assert await store.reservations() == (booked,)
    assert booked.vehicle.vehicle_id == "v-loc1-003"
    assert booked.vehicle not in await store.free_vehicles(period(17, 19))
    assert await store.find("R-999") is None


async def test_numbers_count_up(store: ReservationStore) -> None:
    booked = [await store.reserve(minivan(hour, hour + 1)) for hour in (8, 9, 10)]

    assert [one.number for one in booked if one] == ["R-001", "R-002", "R-003"]


async def test_of_fifty_overlapping_requests_at_once_exactly_one_wins(store: ReservationStore) -> None:
    overlapping = [minivan(9 + n % 4, 14 + n % 5, f"客{n}") for n in range(50)]

    won = await asyncio.gather(*(store.reserve(request) for request in overlapping))

    assert sum(booked is not None for booked in won) == 1
    booked = await store.reservations()
    assert len(booked) == 1
    assert double_bookings(booked) == []


@pytest.mark.clients
async def test_of_four_processes_with_thirteen_requests_each_exactly_one_wins(where: str) -> None:
    async with (
        program(RIVAL, where, "13") as one,
        program(RIVAL, where, "13") as two,
        program(RIVAL, where, "13") as three,
        program(RIVAL, where, "13") as four,
        asyncio.timeout(60),
    ):
        rivals = (one, two, three, four)
        answers = await asyncio.gather(*(rival.communicate(b"go\n") for rival in rivals))

    assert [rival.returncode for rival in rivals] == [0, 0, 0, 0]
    assert sum(int(out) for out, _ in answers) == 1
    store = open_store(where)
    assert len(await store.reservations()) == 1
    await store.aclose()


async def test_fifty_disjoint_bookings_at_once_all_succeed(store: ReservationStore) -> None:
    starts = [datetime(2026, 12, 1, hour, tzinfo=UTC) for hour in range(20)]
    per_shop = {"loc1": 17, "loc2": 17, "loc3": 16}
    wishes = [
        Request(shop, Period(start, start.replace(minute=59)), shop, "コンパクト")
        for shop, count in per_shop.items()
        for start in starts[:count]
    ]

    won = await asyncio.gather(*(store.reserve(wish) for wish in wishes))

    assert None not in won
    assert len({booked.number for booked in won if booked}) == 50
    assert double_bookings(await store.reservations()) == []


async def test_periods_that_touch_do_not_clash_and_a_second_of_overlap_does(store: ReservationStore) -> None:
    won = await asyncio.gather(*(store.reserve(minivan(hour, hour + 2)) for hour in range(8, 20, 2)))
    assert None not in won

    nearly = period(20, 22)
    overlap = Period(nearly.start.replace(hour=19, minute=59, second=59), nearly.end)
    assert await store.reserve(replace(minivan(20, 22), period=overlap)) is None
    assert await store.reserve(minivan(20, 22)) is not None


async def test_the_same_instant_written_in_another_zone_is_the_same(store: ReservationStore) -> None:
    tokyo = period(10, 18)
    utc = Period(tokyo.start.astimezone(UTC), tokyo.end.astimezone(UTC))
    booked = await store.reserve(minivan(10, 18))

    assert booked is not None
    assert await store.reserve(replace(minivan(10, 18), period=utc)) is None
    found = await store.find(booked.number)
    assert found is not None and found.period == utc


async def test_a_retry_with_the_same_key_gets_the_same_booking_even_at_once(store: ReservationStore) -> None:
    wish = replace(minivan(10, 18), idempotency_key="call-1", vehicle_type="コンパクト")

    booked = [await store.reserve(wish)]
    booked += await asyncio.gather(*(store.reserve(wish) for _ in range(10)))
    other = await store.reserve(replace(wish, idempotency_key="call-2"))

    assert len({one.number for one in booked if one}) == 1
    assert None not in booked
    assert other is not None and other.number != booked[0].number  # pyright: ignore
    assert len(await store.reservations()) == 2


async def test_first_tries_with_one_key_at_once_book_once(store: ReservationStore) -> None:
    wish = replace(minivan(10, 18), idempotency_key="call-1", vehicle_type="コンパクト")

    booked = await asyncio.gather(*(store.reserve(wish) for _ in range(10)))

    assert len({one.number for one in booked if one}) == 1
    assert None not in booked
    assert len(await store.reservations()) == 1


async def test_a_cancelled_booking_frees_its_vehicle_and_stays_cancelled(store: ReservationStore) -> None:
    booked = await store.reserve(minivan(10, 18))
    assert booked is not None

    cancelled = await store.cancel(booked.number)

    assert cancelled == replace(booked, status="cancelled")
    assert await store.cancel(booked.number) == cancelled
    assert await store.find(booked.number) == cancelled
    assert await store.reserve(minivan(10, 18)) is not None
    with pytest.raises(NoSuchReservationError):
        await store.change(booked.number, minivan(20, 21))
    with pytest.raises(NoSuchReservationError):
        await store.cancel("R-999")


async def test_a_change_keeps_number_and_vehicle_and_frees_the_old_time(store: ReservationStore) -> None:
    compact = replace(minivan(10, 18), vehicle_type="コンパクト")
    await store.reserve(compact)
    booked = await store.reserve(compact)
    assert booked is not None

    changed = await store.change(booked.number, replace(compact, period=period(12, 20)))

    assert changed == replace(booked, period=period(12, 20))
    assert await store.find(booked.number) == changed
    assert booked.vehicle in await store.free_vehicles(period(10, 12))
    assert booked.vehicle not in await store.free_vehicles(period(18, 20))
    assert booked.vehicle in await store.free_vehicles(period(12, 20), except_for=booked.number)


async def test_a_change_to_another_shop_takes_a_vehicle_there(store: ReservationStore) -> None:
    booked = await store.reserve(minivan(10, 18))
    assert booked is not None

    changed = await store.change(booked.number, replace(minivan(10, 18), location_id="loc3"))

    assert changed is not None and changed.vehicle.location_id == "loc3"
    assert booked.vehicle in await store.free_vehicles(period(10, 18))
    assert changed.vehicle not in await store.free_vehicles(period(10, 18))
    assert await store.reservations() == (changed,)


async def test_a_change_to_a_taken_time_changes_nothing(store: ReservationStore) -> None:
    first, second = await store.reserve(minivan(10, 12)), await store.reserve(minivan(12, 14))
    assert first is not None and second is not None

    assert await store.change(second.number, minivan(11, 13)) is None
    assert await store.reservations() == (first, second)
    with pytest.raises(NoSuchReservationError):
        await store.change("R-999", minivan(15, 16))


async def test_of_many_changes_to_one_time_at_once_exactly_one_wins(store: ReservationStore) -> None:
    booked = [await store.reserve(minivan(hour, hour + 1)) for hour in range(6, 14)]

    won = await asyncio.gather(*(store.change(one.number, minivan(18, 20)) for one in booked if one))

    assert sum(changed is not None for changed in won) == 1
    assert double_bookings(await store.reservations()) == []
    assert len(await store.reservations()) == 8


async def test_bookings_and_cancellations_at_once_never_leave_two(store: ReservationStore) -> None:
    async def book_and_cancel(n: int) -> None:
        booked = await store.reserve(minivan(10, 18, f"客{n}"))
        if booked is not None and n % 2:
            await store.cancel(booked.number)

    await asyncio.gather(*(book_and_cancel(n) for n in range(20)))

    confirmed = [one for one in await store.reservations() if one.status == "confirmed"]
    assert len(confirmed) <= 1
    free = {car.vehicle_id for car in await store.free_vehicles(period(10, 18))}
    assert ("v-loc1-003" in free) is not bool(confirmed)


def shop(number: int, *cars: str) -> Location:
    vehicles = tuple(Vehicle(car, f"s{number}", "SUV", f"札幌 {car}", "スバル", "XV") for car in cars)
    return Location(f"s{number}", f"札幌{number}号店", "札幌市", "+81-11-0", "Asia/Tokyo", vehicles)


async def test_shops_are_added_renewed_and_replaced(store: ReservationStore) -> None:
    await store.put_locations([shop(1, "v1")])
    assert [one.id for one in await store.locations()] == ["loc1", "loc2", "loc3", "s1"]

    renewed = [replace(shop(1, "v1", "v2"), name="新しい店"), shop(2, "v3")]
    await store.put_locations(renewed, replace=True)
    assert await store.locations() == tuple(renewed)
    booked = await store.reserve(Request("s2", period(10, 18), "山田"))
    assert booked is not None and booked.vehicle.vehicle_id == "v3"

    with pytest.raises(StillReservedError) as refused:
        await store.put_locations([shop(1, "v1")], replace=True)
    assert refused.value.names == ("v3",)
    assert await store.locations() == tuple(renewed)


async def test_the_samples_do_not_come_back(where: str) -> None:
    for shops in ([shop(1, "v1")], []):
        store = open_store(where)
        await store.put_locations(shops, replace=True)
        await store.aclose()
        again = open_store(where)
        assert await again.locations() == tuple(shops)
        await again.aclose()


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_process_killed_while_it_books_leaves_no_half_booking(where: str, after: int) -> None:
    told: list[str] = []
    async with program(ENDLESS, where) as booking:
        assert booking.stdout is not None
        while len(told) < after:
            told.append((await booking.stdout.readline()).decode().strip())
        booking.kill()
        rest, _ = await booking.communicate()
        told += rest.decode().split()

    store = open_store(where)
    kept = await store.reservations()
    assert_whole(told, [one.number for one in kept])
    for one in kept:
        assert await store.find(one.number) == one
    again = await store.reserve(minivan(10, 18))
    assert again is not None and again.number not in [one.number for one in kept]
    await store.aclose()


def assert_whole(told: Sequence[str], kept: Sequence[str]) -> None:
    """Every booking that was told of is there; at most the one that nobody was told of any more besides."""
    assert list(kept[: len(told)]) == list(told)
    assert len(kept) <= len(told) + 1
