"""Reservations in Cosmos DB: `locations` with their inventory, `reservations`, `calendars` with etags.

Cosmos DB changes one document at a time. A booking is the creation of the reservation's document: before
it a claim in the vehicle's calendar keeps others out, and a claim without its document counts for nothing
(`calendars.py`). So a process that is killed anywhere leaves a booking or none.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from kaiwa.apps.rentacar.cosmos.account import read_account
from kaiwa.apps.rentacar.cosmos.calendars import PATIENCE_S, Calendars
from kaiwa.apps.rentacar.cosmos.claims import Claim
from kaiwa.apps.rentacar.cosmos.containers import Containers, Document, open_containers
from kaiwa.apps.rentacar.cosmos.papers import changed_fields, is_reservation, paper_of, reservation_of
from kaiwa.apps.rentacar.cosmos.shops import CosmosShops
from kaiwa.apps.rentacar.fleet import Location, Period, Request, Reservation, Vehicle
from kaiwa.apps.rentacar.shops import SHOPS
from kaiwa.apps.rentacar.store import NoSuchReservationError, StillReservedError


def utc_now() -> datetime:
    return datetime.now(UTC)


class CosmosReservations:
    """Fits `ReservationStore`. Database, containers and shops are made at the first use.

    `setting` is what `read_account` reads. One connection for the event loop that uses it first.
    """

    def __init__(
        self,
        setting: str,
        *,
        shops: Sequence[Location] = SHOPS,
        clock: Callable[[], datetime] = utc_now,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._account = read_account(setting)
        self._samples = shops
        self._clock = clock
        self._patience_s = patience_s
        self._opening = asyncio.Lock()
        self._opened: tuple[Containers, Calendars, CosmosShops] | None = None

    async def locations(self) -> tuple[Location, ...]:
        _, _, shops = await self._open()
        return await shops.all()

    async def free_vehicles(self, period: Period, *, except_for: str | None = None) -> tuple[Vehicle, ...]:
        _, calendars, shops = await self._open()
        claims = await calendars.all_claims()
        free: list[Vehicle] = []
        for car in (car for shop in await shops.all() for car in shop.inventory):
            others = [one for one in claims.get(car.vehicle_id, []) if one.number != except_for]
            overlapping = [one for one in others if one.period.overlaps(period)]
            if not any([await calendars.counts(one, settle=False) for one in overlapping]):
                free.append(car)
        return tuple(sorted(free, key=lambda car: car.vehicle_id))

    async def reserve(self, request: Request) -> Reservation | None:
        containers, calendars, _ = await self._open()
        while True:
            if request.idempotency_key is None and not await self._has_chance(request):
                return None  # without a number drawn in vain
            count, number = await self._number(request)
            written = await containers.reservations.read(number)
            if written is not None and is_reservation(written):
                return reservation_of(written)
            if written is not None:  # its first try was given up by others
                await self._forget(request)
                continue
            claimed = await self._claim_one(request, number, join=True)
            if claimed is None:
                return None
            car, claim = claimed
            booked = Reservation(number, car, request.period, request.customer_name)
            if await containers.reservations.create(paper_of(booked, claim, count)):
                return booked
            # Another try with the key was first, or others took the number for given up.
            first = await containers.reservations.read(number)
            if first is None or first.get("claim") != claim.id:
                await calendars.drop(car.vehicle_id, claim.id)

    async def change(self, number: str, request: Request) -> Reservation | None:
        containers, calendars, _ = await self._open()
        while True:
            written = await self._known(number)
            if written["status"] == "cancelled":
                raise NoSuchReservationError(number)
            same = str(written["vehicleId"])
            claimed = await self._claim_one(request, number, join=False, first=same)
            if claimed is None:
                return None
            car, claim = claimed
            changed = Reservation(number, car, request.period, request.customer_name)
            if await containers.reservations.replace({**written, **changed_fields(changed, claim)}):
                await calendars.drop(same, written["claim"])
                return changed
            await calendars.drop(car.vehicle_id, claim.id)

    async def cancel(self, number: str) -> Reservation:
        containers, calendars, _ = await self._open()
        while True:
            written = await self._known(number)
            booked = replace(reservation_of(written), status="cancelled")
            if written["status"] == "cancelled":
                return booked
            if await containers.reservations.replace({**written, "status": "cancelled"}):
                await calendars.drop(written["vehicleId"], written["claim"])
                return booked

    async def find(self, number: str) -> Reservation | None:
        containers, _, _ = await self._open()
        written = await containers.reservations.read(number)
        return reservation_of(written) if written is not None and is_reservation(written) else None

    async def reservations(self) -> tuple[Reservation, ...]:
        containers, _, _ = await self._open()
        written = [one for one in await containers.reservations.all() if is_reservation(one)]
        return tuple(reservation_of(one) for one in sorted(written, key=lambda one: one.get("sequence", 0)))

    async def put_locations(self, locations: Sequence[Location], *, replace: bool = False) -> None:
        """As the store says, shop by shop: killed in between, it has renewed some and not others."""
        _, _, shops = await self._open()
        if replace:
            kept = {car.vehicle_id for shop in locations for car in shop.inventory}
            named = {one.vehicle.vehicle_id for one in await self.reservations()}
            if others := sorted(named - kept):
                raise StillReservedError(others)
        await shops.put(locations, replace=replace)

    async def aclose(self) -> None:
        async with self._opening:
            if self._opened is not None:
                await self._opened[0].aclose()
            self._opened = None

    async def _open(self) -> tuple[Containers, Calendars, CosmosShops]:
        async with self._opening:
            if self._opened is None:
                opened = await open_containers(self._account)
                calendars = Calendars(opened.calendars, opened.reservations, self._clock, self._patience_s)
                shops = CosmosShops(opened.locations, opened.calendars)
                await shops.put_samples(self._samples)
                self._opened = opened, calendars, shops
            return self._opened

    async def _claim_one(
        self, request: Request, number: str, *, join: bool, first: str = ""
    ) -> tuple[Vehicle, Claim] | None:
        _, calendars, _ = await self._open()
        cars = await self._fitting(request)
        for car in sorted(cars, key=lambda car: (car.vehicle_id != first, car.vehicle_id)):
            if claim := await calendars.claim(car.vehicle_id, number, request.period, join=join):
                return car, claim
        return None

    async def _has_chance(self, request: Request) -> bool:
        _, calendars, _ = await self._open()
        for car in await self._fitting(request):
            if await calendars.is_free(car.vehicle_id, request.period):
                return True
        return False

    async def _fitting(self, request: Request) -> list[Vehicle]:
        _, _, shops = await self._open()
        shop = await shops.one(request.location_id)
        return [] if shop is None else [car for car in shop.inventory if request.fits(car)]

    async def _number(self, request: Request) -> tuple[int, str]:
        """Return the number of this booking: a new one, or that of the first try with its key."""
        containers, calendars, _ = await self._open()
        if request.idempotency_key is None:
            return await calendars.draw_number()
        key = _key_id(request.idempotency_key)
        while (known := await containers.calendars.read(key)) is None:
            count, number = await calendars.draw_number()
            await containers.calendars.create({"id": key, "sequence": count, "reservationNumber": number})
        return int(known["sequence"]), str(known["reservationNumber"])

    async def _forget(self, request: Request) -> None:
        if request.idempotency_key is not None:
            containers, _, _ = await self._open()
            await containers.calendars.delete(_key_id(request.idempotency_key))

    async def _known(self, number: str) -> Document:
        containers, _, _ = await self._open()
        written = await containers.reservations.read(number)
        if written is None or not is_reservation(written):
            raise NoSuchReservationError(number)
        return written


def _key_id(key: str) -> str:
    return f"key-{hashlib.sha256(key.encode()).hexdigest()[:40]}"
