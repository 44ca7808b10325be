"""What a call left in the rental car desk's store: the reservations that were not there before.

Knows the store's own face, so SQLite, PostgreSQL and Cosmos DB alike. Callers at once share a store: whose
row is whose then is not known.
"""

from __future__ import annotations

from kaiwa.apps.rentacar.stores import open_store
from kaiwa.testing.callers.judging import Row


async def reservations(database: str) -> dict[str, Row]:
    """Return all confirmed reservations by number, oldest first, with the names that scenarios use."""
    store = open_store(database)
    try:
        shops = {shop.id: shop.name for shop in await store.locations()}
        return {
            one.number: {
                "number": one.number,
                "vehicle_type": one.vehicle.vehicle_type,
                "location": shops.get(one.vehicle.location_id),
                "customer_name": one.customer_name,
                "start": one.period.start.isoformat(),
                "end": one.period.end.isoformat(),
            }
            for one in await store.reservations()
            if one.status == "confirmed"
        }
    finally:
        await store.aclose()
