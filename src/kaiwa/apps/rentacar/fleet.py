"""The desk's nouns: shops, vehicles, periods, reservations. Values only; times in them are aware."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

VehicleType = Literal["コンパクト", "SUV", "ミニバン"]
VEHICLE_TYPES: Final[tuple[VehicleType, ...]] = get_args(VehicleType)


@dataclass(frozen=True, slots=True)
class Vehicle:
    vehicle_id: str
    location_id: str
    vehicle_type: VehicleType
    registration: str
    manufacturer: str
    vehicle_model: str


@dataclass(frozen=True, slots=True)
class Location:
    """A shop. `timezone` is an IANA name; times said without a zone are in it."""

    id: str
    name: str
    address: str
    phone: str
    timezone: str
    inventory: tuple[Vehicle, ...]


@dataclass(frozen=True, slots=True)
class Period:
    """`[start, end)`: a vehicle brought back at ten may leave at ten."""

    start: datetime
    end: datetime

    def overlaps(self, other: Period) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants to book. `vehicle_type` None: any.

    Of two requests with the same `idempotency_key` the second gets the first one's reservation.
    """

    location_id: str
    period: Period
    customer_name: str
    vehicle_type: VehicleType | None = None
    idempotency_key: str | None = None

    def fits(self, vehicle: Vehicle) -> bool:
        return vehicle.location_id == self.location_id and self.vehicle_type in (None, vehicle.vehicle_type)


@dataclass(frozen=True, slots=True)
class Reservation:
    number: str
    vehicle: Vehicle
    period: Period
    customer_name: str
    status: Literal["confirmed", "cancelled"] = "confirmed"


def reservation_number(count: int) -> str:
    """Return the number of the so many-th reservation, as people read it out."""
    return f"R-{count:03d}"
