"""Reservations in three SQL tables. Knows queries; how a database locks is its own module's.

A booking first takes a lock, then looks, then writes, all in one transaction.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kaiwa.apps.rentacar.fleet import Location, Period, Request, Reservation, Vehicle, reservation_number
from kaiwa.apps.rentacar.shops import SHOPS
from kaiwa.apps.rentacar.store import NoSuchReservationError, StillReservedError
from kaiwa.apps.rentacar.tables import LOCATIONS, RESERVATIONS, VEHICLES

T = TypeVar("T")


class SqlReservations(ABC):
    """Fits `ReservationStore`. Tables and shops are made, or an older database migrated, at the first use.

    Every operation opens and closes its own connection (milliseconds), so there is nothing to close.
    """

    def __init__(self, engine: AsyncEngine, shops: Sequence[Location] = SHOPS) -> None:
        self._engine = engine
        self._shops = shops
        self._ready = False
        self._preparing = asyncio.Lock()

    @abstractmethod
    async def _prepare(self) -> None:
        """Lead the database to the newest schema."""

    @abstractmethod
    def _reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that only reads."""

    @abstractmethod
    async def _write(self, location_id: str | None, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do the work in a transaction that holds the lock of the shop; None: that of every shop."""

    @abstractmethod
    def _next_id(self) -> ColumnElement[int]:
        """Return the SQL of the next reservation's id."""

    async def locations(self) -> tuple[Location, ...]:
        await self._open()
        async with self._reading() as connection:
            shops = (await connection.execute(select(LOCATIONS).order_by(LOCATIONS.c.id))).all()
            vehicles = (await connection.execute(select(VEHICLES).order_by(VEHICLES.c.vehicle_id))).all()
        cars = [_vehicle(row) for row in vehicles]
        return tuple(_location(shop, cars) for shop in shops)

    async def free_vehicles(self, period: Period, *, except_for: str | None = None) -> tuple[Vehicle, ...]:
        await self._open()
        async with self._reading() as connection:
            rows = (await connection.execute(_free(period, except_for))).all()
        return tuple(_vehicle(row) for row in rows)

    async def reserve(self, request: Request) -> Reservation | None:
        async def work(connection: AsyncConnection) -> Reservation | None:
            if request.idempotency_key is not None:
                done = RESERVATIONS.c.idempotency_key == request.idempotency_key
                if row := (await connection.execute(_joined().where(done))).first():
                    return _reservation(row)
            wanted = _fitting(request, _free(request.period)).limit(1)
            row = (await connection.execute(wanted)).first()
            return None if row is None else await self._book(connection, _vehicle(row), request)

        await self._open()
        return await self._write(request.location_id, work)

    async def _book(self, connection: AsyncConnection, vehicle: Vehicle, request: Request) -> Reservation:
        count = (await connection.execute(select(self._next_id()))).scalar_one()
        booked = Reservation(reservation_number(count), vehicle, request.period, request.customer_name)
        await connection.execute(
            insert(RESERVATIONS).values(
                id=count, number=booked.number, idempotency_key=request.idempotency_key, **_columns(booked)
            )
        )
        return booked

    async def change(self, number: str, request: Request) -> Reservation | None:
        async def work(connection: AsyncConnection) -> Reservation | None:
            query = _joined().where(RESERVATIONS.c.number == number).with_for_update(of=RESERVATIONS)
            row = (await connection.execute(query)).first()
            if row is None or row.status == "cancelled":
                raise NoSuchReservationError(number)
            same_first = VEHICLES.c.vehicle_id != row.vehicle_id
            wanted = _fitting(request, _free(request.period, number))
            free = (
                await connection.execute(wanted.order_by(None).order_by(same_first, "vehicle_id"))
            ).first()
            if free is None:
                return None
            changed = Reservation(number, _vehicle(free), request.period, request.customer_name)
            await connection.execute(_update(number, **_columns(changed)))
            return changed

        await self._open()
        return await self._write(request.location_id, work)

    async def cancel(self, number: str) -> Reservation:
        async def work(connection: AsyncConnection) -> Reservation:
            await connection.execute(_update(number, status="cancelled"))
            row = (await connection.execute(_joined().where(RESERVATIONS.c.number == number))).first()
            if row is None:
                raise NoSuchReservationError(number)
            return _reservation(row)

        await self._open()
        return await self._write(None, work)

    async def find(self, number: str) -> Reservation | None:
        await self._open()
        async with self._reading() as connection:
            row = (await connection.execute(_joined().where(RESERVATIONS.c.number == number))).first()
        return None if row is None else _reservation(row)

    async def reservations(self) -> tuple[Reservation, ...]:
        await self._open()
        async with self._reading() as connection:
            rows = (await connection.execute(_joined().order_by(RESERVATIONS.c.id))).all()
        return tuple(_reservation(row) for row in rows)

    async def put_locations(self, locations: Sequence[Location], *, replace: bool = False) -> None:
        async def work(connection: AsyncConnection) -> None:
            shop_rows = [{k: v for k, v in asdict(shop).items() if k != "inventory"} for shop in locations]
            car_rows = [asdict(car) for shop in locations for car in shop.inventory]
            await _put(connection, LOCATIONS.c.id, shop_rows)
            await _put(connection, VEHICLES.c.vehicle_id, car_rows)
            if replace:
                await _take_out_others(connection, locations)

        await self._open()
        await self._write(None, work)

    async def aclose(self) -> None:
        await self._engine.dispose()

    async def _open(self) -> None:
        async with self._preparing:
            if not self._ready:
                await self._prepare()
                self._ready = True


async def _put(connection: AsyncConnection, key: ColumnElement[str], rows: list[dict[str, Any]]) -> None:
    table: Any = key.table  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
    known = set((await connection.execute(select(key))).scalars())
    for row in rows:
        name = row[key.key or ""]
        statement = update(table).where(key == name) if name in known else insert(table)
        await connection.execute(statement.values(**row))


async def _take_out_others(connection: AsyncConnection, kept: Sequence[Location]) -> None:
    cars = [car.vehicle_id for shop in kept for car in shop.inventory]
    other = VEHICLES.c.vehicle_id.not_in(cars)
    reserved = (
        select(VEHICLES.c.vehicle_id)
        .join(RESERVATIONS)
        .where(other)
        .distinct()
        .order_by(VEHICLES.c.vehicle_id)
    )
    if names := (await connection.execute(reserved)).scalars().all():
        raise StillReservedError(names)
    await connection.execute(delete(VEHICLES).where(other))
    await connection.execute(delete(LOCATIONS).where(LOCATIONS.c.id.not_in([shop.id for shop in kept])))


def _free(period: Period, except_for: str | None = None) -> Select[Any]:
    overlapping = exists().where(
        RESERVATIONS.c.vehicle_id == VEHICLES.c.vehicle_id,
        RESERVATIONS.c.status != "cancelled",
        RESERVATIONS.c.starts_at < period.end,
        RESERVATIONS.c.ends_at > period.start,
    )
    if except_for is not None:
        overlapping = overlapping.where(RESERVATIONS.c.number != except_for)
    return select(VEHICLES).where(~overlapping).order_by(VEHICLES.c.vehicle_id)


def _fitting(request: Request, free: Select[Any]) -> Select[Any]:
    fitting = free.where(VEHICLES.c.location_id == request.location_id)
    kind = request.vehicle_type
    return fitting if kind is None else fitting.where(VEHICLES.c.vehicle_type == kind)


def _joined() -> Select[Any]:
    return select(RESERVATIONS, VEHICLES).join(VEHICLES)


def _update(number: str, **columns: Any) -> Any:
    return update(RESERVATIONS).where(RESERVATIONS.c.number == number).values(**columns)


def _columns(booked: Reservation) -> dict[str, Any]:
    return {
        "vehicle_id": booked.vehicle.vehicle_id,
        "starts_at": booked.period.start,
        "ends_at": booked.period.end,
        "customer_name": booked.customer_name,
    }


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
