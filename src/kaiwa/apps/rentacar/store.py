"""Where reservations live, as the desk needs it; SQLite today, other databases behind the same face."""

from __future__ import annotations

from typing import Protocol

from kaiwa.apps.rentacar.fleet import Location, Period, Request, Reservation, Vehicle


class ReservationStore(Protocol):
    async def locations(self) -> tuple[Location, ...]: ...

    async def free_vehicles(self, period: Period) -> tuple[Vehicle, ...]:
        """Return the vehicles of all shops without a booking that overlaps `[start, end)`."""
        ...

    async def reserve(self, request: Request) -> Reservation | None:
        """Book the first free vehicle that fits, or return None.

        Check and booking are one step: of any number of overlapping requests for one vehicle, from any
        number of processes, one wins.
        """
        ...

    async def reservations(self) -> tuple[Reservation, ...]:
        """Return all reservations, oldest first."""
        ...
