"""SQLite's own dangers: bookings stopped while they wait for the lock, and a transaction begun too late."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from kaiwa.apps.rentacar.fleet import Request, Reservation, Vehicle
from kaiwa.apps.rentacar.sqlite import SqliteReservations

from .rentacar_desk import double_bookings, minivan


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
    store = Watched(path, expected=5)
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
