"""No vehicle is booked twice: many requests in one process, many processes, and a planted fault."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from kaiwa.apps.rentacar.fleet import Request, Reservation, Vehicle
from kaiwa.apps.rentacar.sqlite import SqliteReservations

from .rentacar_desk import double_bookings, minivan, period

RIVAL = """
import asyncio, datetime, sys
from kaiwa.apps.rentacar.fleet import Period, Request
from kaiwa.apps.rentacar.sqlite import SqliteReservations

async def main():
    store = SqliteReservations(sys.argv[1])
    hours = [datetime.datetime(2026, 11, 28, hour, tzinfo=datetime.UTC) for hour in (1, 9)]
    print("ready", flush=True)
    sys.stdin.readline()
    wishes = [Request("loc1", Period(*hours), f"customer {n}", "ミニバン") for n in range(13)]
    won = await asyncio.gather(*(store.reserve(wish) for wish in wishes))
    print(sum(booked is not None for booked in won))

asyncio.run(main())
"""


async def test_of_fifty_concurrent_requests_for_one_vehicle_exactly_one_wins(tmp_path: Path) -> None:
    store = SqliteReservations(tmp_path / "desk.db")
    overlapping = [minivan(9 + n % 4, 14 + n % 5, f"客{n}") for n in range(50)]

    won = await asyncio.gather(*(store.reserve(request) for request in overlapping))

    assert sum(booked is not None for booked in won) == 1
    booked = await store.reservations()
    assert [entry.number for entry in booked] == ["R-001"]
    assert double_bookings(booked) == []


async def test_of_four_processes_with_thirteen_requests_each_exactly_one_request_wins(
    tmp_path: Path,
) -> None:
    path = tmp_path / "desk.db"
    pipes: dict[str, Any] = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    rivals = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", RIVAL, str(path), **pipes)
        for _ in range(4)
    ]
    try:
        async with asyncio.timeout(60):
            for rival in rivals:
                assert rival.stdout is not None
                assert await rival.stdout.readline() == b"ready\n"
            answers = await asyncio.gather(*(rival.communicate(b"go\n") for rival in rivals))
    finally:
        for rival in rivals:
            if rival.returncode is None:
                rival.kill()
                await rival.wait()

    assert sum(int(out) for out, _ in answers) == 1
    assert [rival.returncode for rival in rivals] == [0, 0, 0, 0]
    booked = await SqliteReservations(path).reservations()
    assert len(booked) == 1
    assert double_bookings(booked) == []


async def test_adjacent_periods_are_all_booked_even_at_once(tmp_path: Path) -> None:
    store = SqliteReservations(tmp_path / "desk.db")

    won = await asyncio.gather(*(store.reserve(minivan(hour, hour + 2)) for hour in range(8, 20, 2)))

    assert None not in won
    assert sorted(booked.number for booked in won if booked) == [f"R-{n:03d}" for n in range(1, 7)]
    assert double_bookings(await store.reservations()) == []


class Watched(SqliteReservations):
    """Counts the bookings that ask for the write lock."""

    def __init__(self, path: Path, expected: int) -> None:
        super().__init__(path)
        self.all_ask = asyncio.Event()
        self._missing = expected
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._count)

    def _count(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            self._missing -= 1
            if self._missing == 0:
                self.all_ask.set()


async def test_bookings_stopped_while_they_wait_leave_no_lock_and_no_thread_behind(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    await SqliteReservations(path).locations()
    store = Watched(path, expected=1 + 5)  # one to prepare the file, five bookings
    await store.locations()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = set(threading.enumerate())

    stopped = [asyncio.create_task(store.reserve(minivan(10, 18))) for _ in range(5)]
    async with asyncio.timeout(30):
        await store.all_ask.wait()
        waiting = set(threading.enumerate()) - before
        for task in stopped:
            task.cancel()
        other.execute("ROLLBACK")
        other.close()
        outcomes = await asyncio.gather(*stopped, return_exceptions=True)

        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert await store.reserve(minivan(10, 18)) is not None
        assert len(waiting) == 5
        for thread in waiting:
            await asyncio.to_thread(thread.join)
    assert len(await store.reservations()) == 1


async def test_one_second_of_overlap_is_refused(tmp_path: Path) -> None:
    store = SqliteReservations(tmp_path / "desk.db")
    assert await store.reserve(minivan(10, 12))
    second = minivan(11, 13)
    nearly = period(12, 14)
    overlap = Request(
        "loc1", type(nearly)(nearly.start.replace(hour=11, minute=59, second=59), nearly.end), "佐藤"
    )

    assert await store.reserve(second) is None
    assert await store.reserve(minivan(12, 14)) is not None
    others = [await store.reserve(overlap) for _ in range(3)]
    assert [entry.vehicle.vehicle_type for entry in others if entry] == ["コンパクト", "コンパクト"]


class LazyBegin(SqliteReservations):
    """The planted fault: no lock before the first write, as with the driver's default transaction.

    All rivals look before anybody writes, which chance would arrange only now and then.
    """

    def __init__(self, path: Path, rivals: int) -> None:
        super().__init__(path)
        self._rivals = asyncio.Barrier(rivals)
        self._turn = asyncio.Lock()
        event.listen(self._engine.sync_engine, "before_cursor_execute", _defer_begin, retval=True)

    async def _book(self, connection: AsyncConnection, vehicle: Vehicle, request: Request) -> Reservation:
        await self._rivals.wait()
        async with self._turn:  # else the key of the table would save the day
            return await super()._book(connection, vehicle, request)


def _defer_begin(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> Any:
    return ("SELECT 1" if statement.startswith("BEGIN") else statement), parameters


async def test_the_audit_sees_the_double_booking_of_a_store_that_begins_too_late(tmp_path: Path) -> None:
    store = LazyBegin(tmp_path / "desk.db", rivals=3)
    await store.locations()

    won = await asyncio.gather(*(store.reserve(minivan(10, 18, f"客{n}")) for n in range(3)))

    assert None not in won
    assert double_bookings(await store.reservations())
