"""Where reservations live, as the desk needs it: one face for SQLite, PostgreSQL and Cosmos DB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kaiwa.apps.rentacar.fleet import Location, Period, Request, Reservation, Vehicle
from kaiwa.errors import KaiwaError


class NoSuchReservationError(KaiwaError):
    """There is no reservation of this number, or it was cancelled and cannot be changed."""


class StillReservedError(KaiwaError):
    """A shop or vehicle cannot be taken out, because reservations name it."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


class ReservationStore(Protocol):
    """Every method is one step: it happened wholly or not at all, also when the process is killed in it.

    Of any number of overlapping requests for one vehicle, from any number of processes, one wins.
    """

    async def locations(self) -> tuple[Location, ...]:
        """Return the shops with their vehicles, in the order of their ids."""
        ...

    async def free_vehicles(self, period: Period, *, except_for: str | None = None) -> tuple[Vehicle, ...]:
        """Return the vehicles of all shops without a booking that overlaps `[start, end)`.

        `except_for` is the number of a reservation that does not count.
        """
        ...

    async def reserve(self, request: Request) -> Reservation | None:
        """Book the first free vehicle that fits, or return None."""
        ...

    async def change(self, number: str, request: Request) -> Reservation | None:
        """Let a reservation be what is requested, in the same vehicle if that fits and is free.

        Returns None, and changes nothing, when no vehicle is. Raises NoSuchReservationError.
        """
        ...

    async def cancel(self, number: str) -> Reservation:
        """Cancel; a cancelled one stays so. Raises NoSuchReservationError."""
        ...

    async def find(self, number: str) -> Reservation | None: ...

    async def reservations(self) -> tuple[Reservation, ...]:
        """Return all reservations, oldest first."""
        ...

    async def put_locations(self, locations: Sequence[Location], *, replace: bool = False) -> None:
        """Add shops and vehicles, or renew those whose ids are known; `replace`: take all others out.

        Raises StillReservedError, and changes nothing, when one to be taken out has reservations.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections; the store opens new ones when it is used again."""
        ...
