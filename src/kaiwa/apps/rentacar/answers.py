"""The shapes of the tools' answers, by the names the original system uses. Knows no language of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaiwa.apps.rentacar.fleet import Location, Period, Reservation, Vehicle
from kaiwa.apps.rentacar.reasons import Reason
from kaiwa.apps.rentacar.service import Availability

Answer = dict[str, Any]


@dataclass(frozen=True)
class Wording:
    """One language: `terms` translates names in the data, `explain` gives a refusal as a sentence.

    `changed` and `cancelled` are told when that is done; `{number}` stands for the reservation's.
    `describe` tells a reservation in a sentence; the word for its vehicle type is given.
    """

    terms: Mapping[str, str]
    explain: Callable[[Reason], str]
    changed: str
    cancelled: str
    describe: Callable[[Reservation, str], str]

    def say(self, term: str) -> str:
        return self.terms.get(term, term)

    def original(self, said: str) -> str:
        """Return the term of the data that is said so; anything else as it is."""
        wanted = said.strip().lower()
        return next((term for term, shown in self.terms.items() if shown.lower() == wanted), said)


def locations_answer(shops: tuple[Location, ...], wording: Wording) -> Answer:
    return {"success": True, "locations": [_location(shop, wording) for shop in shops]}


def availability_answer(found: Availability, wording: Wording) -> Answer:
    answer: Answer = {
        "success": True,
        "locationId": found.location.id,
        "period": _period(found.period),
        "availableVehicles": [_vehicle(car, wording) for car in found.vehicles],
    }
    if found.alternatives is not None:
        answer["message"] = wording.explain(found.alternatives)
    return answer


def reservation_answer(shop: Location, booked: Reservation, wording: Wording) -> Answer:
    return {"success": True, **_reservation(shop, booked, wording)}


def change_answer(shop: Location, booked: Reservation, wording: Wording) -> Answer:
    message = wording.changed.format(number=booked.number)
    return {"success": True, "message": message, **_reservation(shop, booked, wording)}


def cancellation_answer(shop: Location, booked: Reservation, wording: Wording) -> Answer:
    message = wording.cancelled.format(number=booked.number)
    return {
        "success": True,
        "status": booked.status,
        "message": message,
        **_reservation(shop, booked, wording),
    }


def reservations_answer(found: Sequence[tuple[Location, Reservation]], wording: Wording) -> Answer:
    rows = [
        {
            **_reservation(shop, one, wording),
            "summary": wording.describe(one, wording.say(one.vehicle.vehicle_type)),
        }
        for shop, one in found
    ]
    return {"success": True, "reservations": rows}


def _reservation(shop: Location, booked: Reservation, wording: Wording) -> Answer:
    return {
        "reservationNumber": booked.number,
        "locationId": shop.id,
        "locationName": wording.say(shop.name),
        "period": _period(booked.period),
        "customerName": booked.customer_name,
        "vehicle": _vehicle(booked.vehicle, wording),
    }


def _location(shop: Location, wording: Wording) -> Answer:
    types = dict.fromkeys(wording.say(car.vehicle_type) for car in shop.inventory)
    return {
        "id": shop.id,
        "name": wording.say(shop.name),
        "address": wording.say(shop.address),
        "phone": shop.phone,
        "timezone": shop.timezone,
        "vehicleTypes": list(types),
    }


def _vehicle(car: Vehicle, wording: Wording) -> Answer:
    return {
        "vehicleId": car.vehicle_id,
        "vehicleType": wording.say(car.vehicle_type),
        "registration": car.registration,
        "manufacturer": wording.say(car.manufacturer),
        "vehicleModel": wording.say(car.vehicle_model),
    }


def _period(period: Period) -> Answer:
    return {"startDate": period.start.isoformat(), "endDate": period.end.isoformat()}
