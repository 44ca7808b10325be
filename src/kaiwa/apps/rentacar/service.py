"""The desk's rules: which periods can be booked, what to offer instead. Knows no SQL and no sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from kaiwa.apps.rentacar.fleet import (
    Location,
    Period,
    Request,
    Reservation,
    Vehicle,
    VehicleType,
    reservation_number,
)
from kaiwa.apps.rentacar.reasons import (
    EndsBeforeStart,
    HasBegun,
    NameMissing,
    NoSuchYear,
    NothingFound,
    NothingFree,
    NothingToChange,
    Refused,
    StartsInPast,
    UnknownLocation,
    UnknownReservation,
)
from kaiwa.apps.rentacar.store import NoSuchReservationError, ReservationStore

Clock = Callable[[], datetime]
_YEARS: Final = range(1900, 9000)  # beyond, adding a zone's offset may overflow


@dataclass(frozen=True, slots=True)
class Availability:
    """`period` is in the shop's zone. `alternatives` is filled when no vehicle is free."""

    location: Location
    period: Period
    vehicles: tuple[Vehicle, ...]
    alternatives: NothingFree | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants to have otherwise; None: as it is.

    With another start and no end the reservation keeps its length.
    """

    location_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    vehicle_type: VehicleType | None = None


def utc_now() -> datetime:
    return datetime.now(UTC)


class RentacarService:
    def __init__(self, store: ReservationStore, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def locations(self) -> tuple[Location, ...]:
        return await self._store.locations()

    async def availability(
        self, location_id: str, start: datetime, end: datetime, vehicle_type: VehicleType | None = None
    ) -> Availability:
        """Return what is free. Times without a zone are in the shop's. Raises Refused."""
        shops = await self._store.locations()
        shop = find_location(shops, location_id)
        period = bookable_period(start, end, shop.timezone, self._clock())
        free = await self._store.free_vehicles(period)
        fitting = tuple(car for car in free if car.location_id == shop.id and _fits(car, vehicle_type))
        alternatives = None if fitting else _alternatives(shop, shops, free, vehicle_type)
        return Availability(shop, period, fitting, alternatives)

    async def reserve(
        self,
        location_id: str,
        start: datetime,
        end: datetime,
        customer_name: str,
        vehicle_type: VehicleType | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Location, Reservation]:
        """Book one vehicle; once for one key. Raises Refused, with what is free instead if that is why."""
        shops = await self._store.locations()
        shop = find_location(shops, location_id)
        period = bookable_period(start, end, shop.timezone, self._clock())
        name = " ".join(customer_name.split())
        if not name:
            raise Refused(NameMissing())
        request = Request(shop.id, period, name, vehicle_type, idempotency_key)
        booked = await self._store.reserve(request)
        if booked is None:
            free = await self._store.free_vehicles(period)
            raise Refused(_alternatives(shop, shops, free, vehicle_type))
        return shop, _in_zone(booked, shop)

    async def find(
        self, customer_name: str, number: str | None = None
    ) -> tuple[tuple[Location, Reservation], ...]:
        """Return the confirmed reservations of a customer that are not over, the earliest first.

        With the number, a part of the name will do. Raises Refused when there is none.
        """
        shops = {shop.id: shop for shop in await self._store.locations()}
        now, wanted = self._clock(), _bare(customer_name)
        if not wanted:
            raise Refused(NameMissing())
        found = [
            (shops[one.vehicle.location_id], one)
            for one in await self._store.reservations()
            if one.status == "confirmed" and one.period.end > now and _is_meant(one, wanted, number)
        ]
        if not found:
            raise Refused(NothingFound(customer_name))
        found.sort(key=lambda entry: entry[1].period.start)
        return tuple((shop, _in_zone(one, shop)) for shop, one in found)

    async def change(self, number: str, wish: Wish) -> tuple[Location, Reservation]:
        """Change a reservation that is not over. Raises Refused, with what is free instead if that is why."""
        shops = await self._store.locations()
        here, old = await self._known(number, shops)
        shop = here if wish.location_id is None else find_location(shops, wish.location_id)
        kind = wish.vehicle_type or old.vehicle.vehicle_type
        period = self._changed_period(old, wish, shop)
        if (shop, kind, period) == (here, old.vehicle.vehicle_type, old.period):
            raise Refused(NothingToChange(old.number))
        request = Request(shop.id, period, old.customer_name, kind)
        try:
            changed = await self._store.change(old.number, request)
        except NoSuchReservationError:  # cancelled by another caller just now
            raise Refused(UnknownReservation(old.number)) from None
        if changed is None:
            free = await self._store.free_vehicles(period, except_for=old.number)
            raise Refused(_alternatives(shop, shops, free, kind))
        return shop, _in_zone(changed, shop)

    async def cancel(self, number: str) -> tuple[Location, Reservation]:
        """Cancel a reservation that has not begun. Raises Refused."""
        shop, known = await self._known(number, await self._store.locations())
        if known.period.start <= self._clock():
            raise Refused(HasBegun(known.number))
        return shop, _in_zone(await self._store.cancel(known.number), shop)

    async def _known(self, said: str, shops: tuple[Location, ...]) -> tuple[Location, Reservation]:
        number = read_number(said)
        known = await self._store.find(number)
        if known is None or known.status == "cancelled" or known.period.end <= self._clock():
            raise Refused(UnknownReservation(number))
        shop = next(shop for shop in shops if shop.id == known.vehicle.location_id)
        return shop, _in_zone(known, shop)

    def _changed_period(self, old: Reservation, wish: Wish, shop: Location) -> Period:
        now, zone = self._clock(), ZoneInfo(shop.timezone)
        start = old.period.start.astimezone(zone) if wish.start is None else _local(wish.start, zone)
        if start != old.period.start and old.period.start <= now:
            raise Refused(HasBegun(old.number))
        # Between local times, so that a reservation until six ends at six on the day the clocks change too.
        kept = start.replace(tzinfo=None) + (
            old.period.end.replace(tzinfo=None) - old.period.start.replace(tzinfo=None)
        )
        end = _local(kept if wish.end is None else wish.end, zone)
        return bookable_period(
            start, end, shop.timezone, min(now, start) if start == old.period.start else now
        )


def find_location(shops: tuple[Location, ...], wanted: str) -> Location:
    """Find a shop by its id, or by its name, which models like to send instead."""
    for shop in shops:
        if wanted.strip() in (shop.id, shop.name):
            return shop
    raise Refused(UnknownLocation(wanted, shops))


def bookable_period(start: datetime, end: datetime, timezone: str, now: datetime) -> Period:
    """Return the period in the shop's zone, in whole seconds. It must be in order and not have begun."""
    zone = ZoneInfo(timezone)
    period = Period(_local(start, zone), _local(end, zone))
    if period.start.timestamp() >= period.end.timestamp():  # the same zone's times compare by the clock
        raise Refused(EndsBeforeStart(period))
    if period.start < now:
        raise Refused(StartsInPast(period.start, now.astimezone(zone)))
    return period


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.year not in _YEARS:
        raise Refused(NoSuchYear(moment.year))
    aware = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    # By way of UTC: a time that the clocks skip becomes the one they show instead.
    return aware.astimezone(UTC).astimezone(zone).replace(microsecond=0)


def read_number(said: str) -> str:
    """Read a reservation number however it is written: R-001, r001, １."""
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", said))
    return reservation_number(int(digits)) if digits and len(digits) < 10 else said.strip()


def _in_zone(booked: Reservation, shop: Location) -> Reservation:
    zone = ZoneInfo(shop.timezone)
    period = Period(booked.period.start.astimezone(zone), booked.period.end.astimezone(zone))
    return replace(booked, period=period)


def _is_meant(booked: Reservation, name: str, number: str | None) -> bool:
    known = _bare(booked.customer_name)
    if number is None:
        return known == name
    return booked.number == read_number(number) and (known.startswith(name) or name.startswith(known))


def _bare(name: str) -> str:
    """Return a name without blanks, width and case."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _fits(car: Vehicle, vehicle_type: VehicleType | None) -> bool:
    return vehicle_type is None or car.vehicle_type == vehicle_type


def _alternatives(
    shop: Location, shops: tuple[Location, ...], free: tuple[Vehicle, ...], wanted: VehicleType | None
) -> NothingFree:
    here: dict[VehicleType, None] = {car.vehicle_type: None for car in free if car.location_id == shop.id}
    ids = {car.location_id for car in free if _fits(car, wanted)}
    elsewhere = tuple(other for other in shops if other.id in ids and other.id != shop.id)
    return NothingFree(shop, wanted, tuple(here), elsewhere)
