"""Reservations as documents, and back. Values and JSON only."""

from __future__ import annotations

from typing import Any

from kaiwa.apps.rentacar.cosmos.claims import Claim, read_moment, write_moment
from kaiwa.apps.rentacar.fleet import Period, Reservation, Vehicle


def paper_of(booked: Reservation, claim: Claim, count: int) -> dict[str, Any]:
    return {
        "id": booked.number,
        "reservationNumber": booked.number,
        "sequence": count,
        **changed_fields(booked, claim),
    }


def changed_fields(booked: Reservation, claim: Claim) -> dict[str, Any]:
    car = booked.vehicle
    return {
        "locationId": car.location_id,
        "vehicleId": car.vehicle_id,
        "vehicle": {
            "vehicleType": car.vehicle_type,
            "registration": car.registration,
            "manufacturer": car.manufacturer,
            "vehicleModel": car.vehicle_model,
        },
        "startDate": write_moment(booked.period.start),
        "endDate": write_moment(booked.period.end),
        "customerName": booked.customer_name,
        "status": booked.status,
        "claim": claim.id,
    }


def is_reservation(document: dict[str, Any] | None) -> bool:
    """False for a number that was drawn in vain."""
    return document is not None and document["status"] != "void"


def reservation_of(document: dict[str, Any]) -> Reservation:
    told = document["vehicle"]
    car = Vehicle(
        vehicle_id=document["vehicleId"],
        location_id=document["locationId"],
        vehicle_type=told["vehicleType"],
        registration=told["registration"],
        manufacturer=told["manufacturer"],
        vehicle_model=told["vehicleModel"],
    )
    period = Period(read_moment(document["startDate"]), read_moment(document["endDate"]))
    return Reservation(document["id"], car, period, document["customerName"], document["status"])
