"""The desk in English: its tools, names for the Japanese data, refusals, and the agent's instructions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from kaiwa.apps.rentacar.answers import Answer, Wording
from kaiwa.apps.rentacar.desk import Desk
from kaiwa.apps.rentacar.fleet import Reservation
from kaiwa.apps.rentacar.reasons import (
    EndsBeforeStart,
    HasBegun,
    NameMissing,
    NoSuchYear,
    NothingFound,
    NothingFree,
    NothingToChange,
    Reason,
    StartsInPast,
    UnknownLocation,
    UnknownReservation,
)
from kaiwa.apps.rentacar.service import RentacarService
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import Tool, tool

INSTRUCTIONS: Final = """\
You take bookings at a rental car desk. Always speak English, in short and polite sentences.
Look up shops with list_locations and free cars with get_availability; book with create_reservation.
Look up reservations with find_reservation, change them with change_reservation, cancel with
cancel_reservation. Times are local to the shop. Ask in turn for the shop, pick-up and return times, vehicle
type and name. Read back what you are about to do and get the customer's confirmation first. Say nothing the
tools did not give.
"""

TERMS: Final = {
    "コンパクト": "compact",
    "SUV": "SUV",
    "ミニバン": "minivan",
    "東京駅前店": "Tokyo Station",
    "新宿西口店": "Shinjuku West",
    "羽田空港店": "Haneda Airport",
    "東京都千代田区丸の内1丁目（東京駅から徒歩3分）": "Marunouchi, three minutes from Tokyo Station",
    "東京都新宿区西新宿1丁目（新宿駅から徒歩5分）": "Nishi-Shinjuku, five minutes from Shinjuku Station",
    "東京都大田区羽田空港3丁目（第2ターミナルからバスで5分）": "Haneda, by bus from Terminal 2",
    "トヨタ": "Toyota",
    "ホンダ": "Honda",
    "日産": "Nissan",
    "マツダ": "Mazda",
    "スズキ": "Suzuki",
    "スバル": "Subaru",
    "ヤリス": "Yaris",
    "フィット": "Fit",
    "シエンタ": "Sienta",
    "ノート": "Note",
    "ヤリスクロス": "Yaris Cross",
    "スイフト": "Swift",
    "フォレスター": "Forester",
    "ステップワゴン": "Step WGN",
    "セレナ": "Serena",
}


def _canonical_type(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    named = TERMS.get(value.strip(), value.strip()).lower()
    return "SUV" if named == "suv" else named


LocationId = Annotated[str, Field(alias="locationId", description="Id of the shop, for example loc1")]
StartDate = Annotated[datetime, Field(alias="startDate", description="Pick-up, ISO 8601, local to the shop")]
EndDate = Annotated[datetime, Field(alias="endDate", description="Return, ISO 8601, local to the shop")]
CustomerName = Annotated[
    str, Field(alias="customerName", description="The customer's name", min_length=1, max_length=100)
]
VehicleKind = Annotated[
    Literal["compact", "SUV", "minivan"] | None,
    BeforeValidator(_canonical_type),
    Field(alias="vehicleType", description="Vehicle type; leave out for any"),
]

ReservationNumber = Annotated[
    str,
    Field(
        alias="reservationNumber",
        description="Reservation number, for example R-001",
        min_length=1,
        max_length=40,
    ),
]
MaybeNumber = Annotated[
    str | None,
    Field(alias="reservationNumber", description="Reservation number, for example R-001", max_length=40),
]
NewStart = Annotated[
    datetime | None, Field(alias="startDate", description="New pick-up; leave out to keep it")
]
NewEnd = Annotated[datetime | None, Field(alias="endDate", description="New return; leave out to keep it")]
NewLocation = Annotated[
    str | None, Field(alias="locationId", description="Id of the new shop; leave out to keep it")
]


def tools(service: RentacarService) -> list[Tool[..., Any]]:
    desk = Desk(service, WORDING)

    @tool(changes=False)
    async def list_locations() -> Answer:
        """List the rental car shops."""
        return await desk.locations()

    @tool(changes=False)
    async def get_availability(
        location_id: LocationId,
        start_date: StartDate,
        end_date: EndDate,
        vehicle_type: VehicleKind = None,
    ) -> Answer:
        """Look up which rental cars are free in a shop for a period."""
        return await desk.availability(location_id, start_date, end_date, vehicle_type)

    @tool(changes=True, confirm=True)
    async def create_reservation(
        context: ToolContext,
        location_id: LocationId,
        start_date: StartDate,
        end_date: EndDate,
        customer_name: CustomerName,
        vehicle_type: VehicleKind = None,
    ) -> Answer:
        """Book a rental car."""
        key = context.idempotency_key or None
        return await desk.book(location_id, start_date, end_date, customer_name, vehicle_type, key)

    @tool(changes=False)
    async def find_reservation(customer_name: CustomerName, reservation_number: MaybeNumber = None) -> Answer:
        """Look up a customer's reservations by name."""
        return await desk.find(customer_name, reservation_number)

    @tool(changes=True, confirm=True)
    async def change_reservation(
        reservation_number: ReservationNumber,
        start_date: NewStart = None,
        end_date: NewEnd = None,
        vehicle_type: VehicleKind = None,
        location_id: NewLocation = None,
    ) -> Answer:
        """Change the times, vehicle type or shop of a reservation."""
        return await desk.change(reservation_number, location_id, start_date, end_date, vehicle_type)

    @tool(changes=True, confirm=True)
    async def cancel_reservation(reservation_number: ReservationNumber) -> Answer:
        """Cancel a reservation."""
        return await desk.cancel(reservation_number)

    booking = [list_locations, get_availability, create_reservation]
    return [*booking, find_reservation, change_reservation, cancel_reservation]


def explain(reason: Reason) -> str:
    match reason:
        case UnknownLocation(known=known):
            shops = ", ".join(f"{WORDING.say(shop.name)} ({shop.id})" for shop in known)
            return f"There is no such shop. The shops are {shops}."
        case EndsBeforeStart():
            return "The return is not after the pick-up. Please give both times again."
        case StartsInPast(start=start):
            return f"The pick-up time ({start:%Y-%m-%d %H:%M}) has passed. Please give a time to come."
        case NoSuchYear(year=year):
            return f"There are no bookings for the year {year}."
        case NameMissing():
            return "A booking needs the customer's name."
        case NothingFree():
            return _nothing_free(reason)
        case UnknownReservation(number=number):
            return f"There is no reservation {number}. Please give the number again."
        case NothingFound(customer_name=name):
            return f"There is no reservation to come under the name {name}."
        case HasBegun(number=number):
            return f"The rental of {number} has begun, so that is not possible. The return can be changed."
        case NothingToChange(number=number):
            return f"What should be changed in {number}? Times, vehicle type and shop can be."


def _nothing_free(reason: NothingFree) -> str:
    wanted = WORDING.say(reason.wanted) if reason.wanted else "car"
    sentences = [f"No {wanted} is free at {WORDING.say(reason.location.name)} for that period."]
    if reason.here:
        sentences.append(f"The same shop has free: {', '.join(map(WORDING.say, reason.here))}.")
    if reason.elsewhere:
        shops = ", ".join(WORDING.say(shop.name) for shop in reason.elsewhere)
        sentences.append(f"A {wanted} is free at {shops}.")
    if not (reason.here or reason.elsewhere):
        sentences.append("Nor is one at the other shops. Please give another time.")
    return " ".join(sentences)


def _describe(booked: Reservation, kind: str) -> str:
    start, end = booked.period.start, booked.period.end
    first, last = (f"{moment:%B} {moment.day} {moment:%H:%M}" for moment in (start, end))
    return f"Reservation {booked.number}, {first} to {last}, {kind}."


WORDING: Final = Wording(
    terms=TERMS,
    explain=explain,
    changed="Reservation {number} has been changed.",
    cancelled="Reservation {number} has been cancelled.",
    describe=_describe,
)
