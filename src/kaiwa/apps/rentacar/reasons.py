"""Why the desk says no. Facts only; the sentences are the languages'."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kaiwa.apps.rentacar.fleet import Location, Period, VehicleType
from kaiwa.errors import KaiwaError


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


@dataclass(frozen=True, slots=True)
class UnknownReservation:
    """No reservation has this number, or it was cancelled."""

    number: str


@dataclass(frozen=True, slots=True)
class NothingFound:
    """Nobody of this name has a reservation that is not over."""

    customer_name: str


@dataclass(frozen=True, slots=True)
class HasBegun:
    """It is too late to cancel, or to begin at another time."""

    number: str


@dataclass(frozen=True, slots=True)
class NothingToChange:
    number: str


Reason = (
    UnknownLocation
    | EndsBeforeStart
    | StartsInPast
    | NoSuchYear
    | NameMissing
    | NothingFree
    | UnknownReservation
    | NothingFound
    | HasBegun
    | NothingToChange
)


class Refused(KaiwaError):
    """The desk says no; `reason` holds the facts for a sentence in the caller's language."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(type(reason).__name__)
        self.reason = reason
