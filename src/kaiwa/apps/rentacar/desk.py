"""What the desk's tools do in every language: ask the service, answer in the words of one language."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from kaiwa.apps.rentacar.answers import (
    Answer,
    Wording,
    availability_answer,
    locations_answer,
    reservation_answer,
)
from kaiwa.apps.rentacar.fleet import VehicleType
from kaiwa.apps.rentacar.service import Refused, RentacarService
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
        try:
            found = await self._service.availability(
                self._wording.original(location_id), start, end, self._kind(vehicle_type)
            )
        except Refused as refused:
            raise ToolError(self._wording.explain(refused.reason)) from refused
        return availability_answer(found, self._wording)

    async def book(
        self,
        location_id: str,
        start: datetime,
        end: datetime,
        customer_name: str,
        vehicle_type: str | None,
    ) -> Answer:
        try:
            shop, booked = await self._service.reserve(
                self._wording.original(location_id), start, end, customer_name, self._kind(vehicle_type)
            )
        except Refused as refused:
            raise ToolError(self._wording.explain(refused.reason)) from refused
        return reservation_answer(shop, booked, self._wording)

    def _kind(self, vehicle_type: str | None) -> VehicleType | None:
        return None if vehicle_type is None else cast("VehicleType", self._wording.original(vehicle_type))
