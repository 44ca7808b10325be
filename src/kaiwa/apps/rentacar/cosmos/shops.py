"""The container `locations`: a document for each shop, its vehicles inside. Knows no reservation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kaiwa.apps.rentacar.cosmos.containers import Container
from kaiwa.apps.rentacar.documents import document_of, shops_of
from kaiwa.apps.rentacar.fleet import Location, Vehicle

_SAMPLES_PUT: Final = "samples-put"  # a mark, so that samples which were taken out do not come back


class CosmosShops:
    def __init__(self, locations: Container, marks: Container) -> None:
        self._locations = locations
        self._marks = marks

    async def all(self) -> tuple[Location, ...]:
        documents = sorted(await self._locations.all(), key=lambda one: str(one["id"]))
        return shops_of(documents)

    async def one(self, shop_id: str) -> Location | None:
        document = await self._locations.read(shop_id)
        return None if document is None else shops_of([document])[0]

    async def put_samples(self, samples: Sequence[Location]) -> None:
        """Put the samples into a new database; one with shops of its own is left as it is."""
        if await self._marks.read(_SAMPLES_PUT) is not None:
            return
        known = {str(one["id"]) for one in await self._locations.all()}
        if known <= {shop.id for shop in samples}:
            for shop in samples:
                await self._locations.create(document_of(shop))
        await self._marks.create({"id": _SAMPLES_PUT})

    async def put(self, shops: Sequence[Location], *, replace: bool) -> None:
        named = {shop.id for shop in shops}
        given = {car.vehicle_id for shop in shops for car in shop.inventory}
        before = {shop.id: shop for shop in await self.all()}
        for shop in shops:
            old = before.get(shop.id)
            others = (
                [car for car in old.inventory if car.vehicle_id not in given] if old and not replace else []
            )
            await self._write(_with_cars(shop, [*shop.inventory, *others]))
        for other in (shop for shop in before.values() if shop.id not in named):
            if replace:
                await self._locations.delete(other.id)
            elif any(car.vehicle_id in given for car in other.inventory):  # it has moved
                kept = [car for car in other.inventory if car.vehicle_id not in given]
                await self._write(_with_cars(other, kept))

    async def _write(self, shop: Location) -> None:
        document = document_of(shop)
        while not await self._locations.create(document):
            known = await self._locations.read(shop.id)
            if known is not None and await self._locations.replace({**known, **document}):
                return


def _with_cars(shop: Location, cars: Sequence[Vehicle]) -> Location:
    return replace(shop, inventory=tuple(sorted(cars, key=lambda car: car.vehicle_id)))
