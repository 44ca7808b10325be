"""Shops as JSON documents in the original system's shape. Knows keys and what a value must be; no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from kaiwa.apps.rentacar.fleet import Location, Vehicle, VehicleType


class CarDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    vehicle_id: str
    vehicle_type: VehicleType
    registration: str = ""
    manufacturer: str = ""
    vehicle_model: str = ""


class ShopDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown keys are ignored: exports of a database hold some of its own."""

    id: str
    name: str
    address: str = ""
    phone: str = ""
    timezone: str = "Asia/Tokyo"
    inventory: tuple[CarDocument, ...] = ()


def shops_of(documents: Sequence[Any]) -> tuple[Location, ...]:
    """Read shops. Raises ValueError that tells the document and what is wrong in it."""
    shops: list[Location] = []
    for count, document in enumerate(documents, start=1):
        try:
            shops.append(_shop(msgspec.convert(document, ShopDocument)))
        except (msgspec.ValidationError, ValueError) as wrong:
            raise ValueError(f"shop {count}: {wrong}") from wrong
    check_unique(shops)
    return tuple(shops)


def document_of(shop: Location) -> dict[str, Any]:
    """Write a shop, its vehicles inside as `inventory`."""
    return {
        "id": shop.id,
        "name": shop.name,
        "address": shop.address,
        "phone": shop.phone,
        "timezone": shop.timezone,
        "inventory": [
            {
                "vehicleId": car.vehicle_id,
                "vehicleType": car.vehicle_type,
                "registration": car.registration,
                "manufacturer": car.manufacturer,
                "vehicleModel": car.vehicle_model,
            }
            for car in shop.inventory
        ],
    }


def check_unique(shops: Sequence[Location]) -> None:
    """Raise ValueError when two shops or two vehicles have one id."""
    names = [shop.id for shop in shops] + [car.vehicle_id for shop in shops for car in shop.inventory]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the id {name} stands for two shops or vehicles")


def _shop(document: ShopDocument) -> Location:
    if not document.id.strip() or not document.name.strip():
        raise ValueError("a shop needs an id and a name")
    try:
        ZoneInfo(document.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone {document.timezone!r} is unknown; use a name as Asia/Tokyo") from None
    cars = tuple(
        Vehicle(
            vehicle_id=car.vehicle_id,
            location_id=document.id,
            vehicle_type=car.vehicle_type,
            registration=car.registration,
            manufacturer=car.manufacturer,
            vehicle_model=car.vehicle_model,
        )
        for car in sorted(document.inventory, key=lambda car: car.vehicle_id)
    )
    return Location(document.id, document.name, document.address, document.phone, document.timezone, cars)
