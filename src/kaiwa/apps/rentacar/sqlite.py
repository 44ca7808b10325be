"""Reservations in one SQLite file, shared by any number of processes. Knows how SQLite locks.

SQLite's default BEGIN takes no lock before the first write, so two bookings may both see a free vehicle.
BEGIN IMMEDIATE takes the write lock first: check and insert are one step.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import ColumnElement, Connection, event, func
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from kaiwa.apps.rentacar.fleet import Location
from kaiwa.apps.rentacar.schema import bring_up_to_date, is_newest
from kaiwa.apps.rentacar.shops import SHOPS
from kaiwa.apps.rentacar.sql import SqlReservations
from kaiwa.apps.rentacar.tables import RESERVATIONS

BUSY_TIMEOUT_S: Final = 20
_BEGIN: Final = "kaiwa_begin"
T = TypeVar("T")


class SqliteReservations(SqlReservations):
    """The file is made at the first use, with the given shops."""

    def __init__(self, path: str | Path, *, shops: Sequence[Location] = SHOPS) -> None:
        self._path = Path(path)
        super().__init__(_engine(self._path), shops)

    async def _prepare(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        async with self._engine.execution_options(**{_BEGIN: None}).begin() as connection:
            await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        if not await is_newest(self._engine):
            # The transaction holds the write lock already; SELECT 1 stands where others take theirs.
            await bring_up_to_date(lambda: _immediate(_engine(self._path)), "SELECT 1", self._shops)

    def _reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._engine.begin()

    async def _write(self, location_id: str | None, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with _immediate(self._engine).begin() as connection:
            return await work(connection)

    def _next_id(self) -> ColumnElement[int]:
        return func.coalesce(func.max(RESERVATIONS.c.id), 0) + 1


def _engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(engine.sync_engine, "connect", _leave_transactions_to_us)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _immediate(engine: AsyncEngine) -> AsyncEngine:
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def _leave_transactions_to_us(dbapi: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    cast("Any", dbapi).isolation_level = None  # else the driver begins by itself, too late


def _begin(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)
