"""What the desk's tools do in every language: ask the service, answer in the words of one language."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import cast

from kaiwa.apps.rentacar.answers import (
    Answer,
    Wording,
    availability_answer,
    cancellation_answer,
    change_answer,
    locations_answer,
    reservation_answer,
    reservations_answer,
)
from kaiwa.apps.rentacar.fleet import VehicleType
from kaiwa.apps.rentacar.reasons import Refused
from kaiwa.apps.rentacar.service import RentacarService, Wish
from kaiwa.errors import ToolError


class Desk:
    """Raises ToolError, a sentence in the desk's language, where the service refuses."""

    def __init__(self, service: RentacarService, wording: Wording) -> None:
        self._service = service
        self._wording = wording

    async def locations(self) -> Answer:
        return locations_answer(await self._service.locations(), self._wording)

    async def availability(
        self, location_id: str, start: datetime, end: datetime, vehicle_type: str | None
    ) -> Answer:
        with self._in_words():
            found = await self._service.availability(
                self._wording.original(location_id), start, end, self._kind(vehicle_type)
            )
        return availability_answer(found, self._wording)

    async def book(
        self,
        location_id: str,
        start: datetime,
        end: datetime,
        customer_name: str,
        vehicle_type: str | None,
        idempotency_key: str | None,
    ) -> Answer:
        shop = self._wording.original(location_id)
        with self._in_words():
            booked = await self._service.reserve(
                shop, start, end, customer_name, self._kind(vehicle_type), idempotency_key
            )
        return reservation_answer(*booked, self._wording)

    async def find(self, customer_name: str, number: str | None) -> Answer:
        with self._in_words():
            found = await self._service.find(customer_name, number)
        return reservations_answer(found, self._wording)

    async def change(
        self,
        number: str,
        location_id: str | None,
        start: datetime | None,
        end: datetime | None,
        vehicle_type: str | None,
    ) -> Answer:
        shop = None if location_id is None else self._wording.original(location_id)
        with self._in_words():
            changed = await self._service.change(number, Wish(shop, start, end, self._kind(vehicle_type)))
        return change_answer(*changed, self._wording)

    async def cancel(self, number: str) -> Answer:
        with self._in_words():
            cancelled = await self._service.cancel(number)
        return cancellation_answer(*cancelled, self._wording)

    @contextmanager
    def _in_words(self) -> Generator[None]:
        try:
            yield
        except Refused as refused:
            raise ToolError(self._wording.explain(refused.reason)) from refused

    def _kind(self, vehicle_type: str | None) -> VehicleType | None:
        return None if vehicle_type is None else cast("VehicleType", self._wording.original(vehicle_type))
