"""The desk's nouns: shops, vehicles, periods, reservations. Values only; times in them are aware."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

VehicleType = Literal["コンパクト", "SUV", "ミニバン"]


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


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants to book. `vehicle_type` None: any."""

    location_id: str
    period: Period
    customer_name: str
    vehicle_type: VehicleType | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    number: str
    vehicle: Vehicle
    period: Period
    customer_name: str
    status: Literal["confirmed", "cancelled"] = "confirmed"
