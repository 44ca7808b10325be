"""Reservations in one SQLite file, shared by any number of processes. Knows SQL; does not know rules.

SQLite's default BEGIN takes no lock before the first write, so two bookings may both see a free vehicle.
BEGIN IMMEDIATE takes the write lock first: check and insert are one step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal, cast

from sqlalchemy import Connection, Row, Select, event, exists, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from kaiwa.apps.rentacar.fleet import Location, Period, Request, Reservation, Vehicle
from kaiwa.apps.rentacar.shops import SHOPS
from kaiwa.apps.rentacar.tables import LOCATIONS, METADATA, RESERVATIONS, VEHICLES

BUSY_TIMEOUT_S: Final = 20
_BEGIN: Final = "kaiwa_begin"


class SqliteReservations:
    """Fits `ReservationStore`. The file and its shops are made at the first use.

    Every operation opens and closes its own connection (about a millisecond), so there is nothing to close.
    """

    def __init__(self, path: str | Path, *, shops: Sequence[Location] = SHOPS) -> None:
        self._path = Path(path)
        self._shops = shops
        self._ready = False
        self._preparing = asyncio.Lock()
        self._engine = create_async_engine(
            f"sqlite+aiosqlite:///{self._path}", poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S}
        )
        event.listen(self._engine.sync_engine, "connect", _leave_transactions_to_us)
        event.listen(self._engine.sync_engine, "begin", _begin)

    async def locations(self) -> tuple[Location, ...]:
        async with (await self._open()).begin() as connection:
            shops = (await connection.execute(select(LOCATIONS).order_by(LOCATIONS.c.id))).all()
            vehicles = (await connection.execute(select(VEHICLES).order_by(VEHICLES.c.vehicle_id))).all()
        cars = [_vehicle(row) for row in vehicles]
        return tuple(_location(shop, cars) for shop in shops)

    async def free_vehicles(self, period: Period) -> tuple[Vehicle, ...]:
        async with (await self._open()).begin() as connection:
            rows = (await connection.execute(_free(period))).all()
        return tuple(_vehicle(row) for row in rows)

    async def reserve(self, request: Request) -> Reservation | None:
        wanted = _free(request.period).where(VEHICLES.c.location_id == request.location_id).limit(1)
        if request.vehicle_type is not None:
            wanted = wanted.where(VEHICLES.c.vehicle_type == request.vehicle_type)
        async with (await self._open("BEGIN IMMEDIATE")).begin() as connection:
            row = (await connection.execute(wanted)).first()
            return None if row is None else await self._book(connection, _vehicle(row), request)

    async def _book(self, connection: AsyncConnection, vehicle: Vehicle, request: Request) -> Reservation:
        last = (await connection.execute(select(func.max(RESERVATIONS.c.id)))).scalar() or 0
        number = f"R-{last + 1:03d}"
        await connection.execute(
            insert(RESERVATIONS).values(
                id=last + 1,
                number=number,
                vehicle_id=vehicle.vehicle_id,
                starts_at=request.period.start,
                ends_at=request.period.end,
                customer_name=request.customer_name,
            )
        )
        return Reservation(number, vehicle, request.period, request.customer_name)

    async def reservations(self) -> tuple[Reservation, ...]:
        joined = select(RESERVATIONS, VEHICLES).join(VEHICLES).order_by(RESERVATIONS.c.id)
        async with (await self._open()).begin() as connection:
            return tuple(_reservation(row) for row in (await connection.execute(joined)).all())

    async def _open(self, begin: Literal["BEGIN", "BEGIN IMMEDIATE"] = "BEGIN") -> AsyncEngine:
        async with self._preparing:
            if not self._ready:
                await self._prepare()
                self._ready = True
        return self._engine.execution_options(**{_BEGIN: begin})

    async def _prepare(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        autocommit = self._engine.execution_options(**{_BEGIN: None})
        async with autocommit.begin() as connection:
            await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        async with self._engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}).begin() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.execute(
                insert_sqlite(LOCATIONS).on_conflict_do_nothing(),
                [{**asdict(shop), "inventory": None} for shop in self._shops],
            )
            cars = [asdict(car) for shop in self._shops for car in shop.inventory]
            await connection.execute(insert_sqlite(VEHICLES).on_conflict_do_nothing(), cars)


def _leave_transactions_to_us(dbapi: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    cast("Any", dbapi).isolation_level = None  # else the driver begins by itself, too late


def _begin(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)


def _free(period: Period) -> Select[Any]:
    overlapping = exists().where(
        RESERVATIONS.c.vehicle_id == VEHICLES.c.vehicle_id,
        RESERVATIONS.c.status != "cancelled",
        RESERVATIONS.c.starts_at < period.end,
        RESERVATIONS.c.ends_at > period.start,
    )
    return select(VEHICLES).where(~overlapping).order_by(VEHICLES.c.vehicle_id)


def _vehicle(row: Row[Any]) -> Vehicle:
    return Vehicle(
        vehicle_id=row.vehicle_id,
        location_id=row.location_id,
        vehicle_type=row.vehicle_type,
        registration=row.registration,
        manufacturer=row.manufacturer,
        vehicle_model=row.vehicle_model,
    )


def _location(row: Row[Any], cars: Sequence[Vehicle]) -> Location:
    return Location(
        id=row.id,
        name=row.name,
        address=row.address,
        phone=row.phone,
        timezone=row.timezone,
        inventory=tuple(car for car in cars if car.location_id == row.id),
    )


def _reservation(row: Row[Any]) -> Reservation:
    period = Period(row.starts_at, row.ends_at)
    return Reservation(row.number, _vehicle(row), period, row.customer_name, row.status)
