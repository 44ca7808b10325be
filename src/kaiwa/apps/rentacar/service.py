"""The desk's rules: which periods can be booked, what to offer instead. Knows no SQL and no sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from kaiwa.apps.rentacar.fleet import Location, Period, Request, Reservation, Vehicle, VehicleType
from kaiwa.apps.rentacar.store import ReservationStore
from kaiwa.errors import KaiwaError

Clock = Callable[[], datetime]
_YEARS: Final = range(1900, 9000)  # beyond, adding a zone's offset may overflow


@dataclass(frozen=True, slots=True)
class UnknownLocation:
    location_id: str
    known: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class EndsBeforeStart:
    period: Period


@dataclass(frozen=True, slots=True)
class StartsInPast:
    start: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class NoSuchYear:
    year: int


@dataclass(frozen=True, slots=True)
class NameMissing:
    pass


@dataclass(frozen=True, slots=True)
class NothingFree:
    """`here` are the types free in the same shop, `elsewhere` the other shops where the wish can be met."""

    location: Location
    wanted: VehicleType | None
    here: tuple[VehicleType, ...]
    elsewhere: tuple[Location, ...]


Reason = UnknownLocation | EndsBeforeStart | StartsInPast | NoSuchYear | NameMissing | NothingFree


class Refused(KaiwaError):
    """The desk says no; `reason` holds the facts for a sentence in the caller's language."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(type(reason).__name__)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Availability:
    """`period` is in the shop's zone. `alternatives` is filled when no vehicle is free."""

    location: Location
    period: Period
    vehicles: tuple[Vehicle, ...]
    alternatives: NothingFree | None


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
    ) -> tuple[Location, Reservation]:
        """Book one vehicle. Raises Refused, with what is free instead if that is why."""
        shops = await self._store.locations()
        shop = find_location(shops, location_id)
        period = bookable_period(start, end, shop.timezone, self._clock())
        name = " ".join(customer_name.split())
        if not name:
            raise Refused(NameMissing())
        booked = await self._store.reserve(Request(shop.id, period, name, vehicle_type))
        if booked is None:
            free = await self._store.free_vehicles(period)
            raise Refused(_alternatives(shop, shops, free, vehicle_type))
        return shop, booked


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
    if period.start.timestamp() >= period.end.timestamp():
        raise Refused(EndsBeforeStart(period))
    if period.start < now:
        raise Refused(StartsInPast(period.start, now.astimezone(zone)))
    return period


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.year not in _YEARS:
        raise Refused(NoSuchYear(moment.year))
    aware = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    return aware.replace(microsecond=0)


def _fits(car: Vehicle, vehicle_type: VehicleType | None) -> bool:
    return vehicle_type is None or car.vehicle_type == vehicle_type


def _alternatives(
    shop: Location, shops: tuple[Location, ...], free: tuple[Vehicle, ...], wanted: VehicleType | None
) -> NothingFree:
    here: dict[VehicleType, None] = {car.vehicle_type: None for car in free if car.location_id == shop.id}
    ids = {car.location_id for car in free if _fits(car, wanted)}
    elsewhere = tuple(other for other in shops if other.id in ids and other.id != shop.id)
    return NothingFree(shop, wanted, tuple(here), elsewhere)
