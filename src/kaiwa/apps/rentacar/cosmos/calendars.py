"""Claiming vehicles, and telling which claims count. Knows etags; makes no reservation.

Nothing here trusts a clock: time only says how long to be polite. A claim whose maker seems gone is made
void by writing what the maker would have had to write: if the maker comes back, its own write fails.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from kaiwa.apps.rentacar.cosmos.claims import Claim, claims_of, with_claims
from kaiwa.apps.rentacar.cosmos.containers import Container, Document
from kaiwa.apps.rentacar.fleet import Period, reservation_number

PATIENCE_S: Final = 30.0
_NUMBERS: Final = "numbers"


class Calendars:
    def __init__(
        self, calendars: Container, reservations: Container, clock: Callable[[], datetime], patience_s: float
    ) -> None:
        self._calendars = calendars
        self._reservations = reservations
        self._clock = clock
        self._patience = timedelta(seconds=patience_s)
        self._drawing = asyncio.Lock()

    async def claim(
        self, vehicle_id: str, number: str, period: Period, *, join: bool = False
    ) -> Claim | None:
        """Claim a vehicle, or return None when it is taken.

        `join`: an overlapping claim of the same number is this one, made by another try. Otherwise a
        reservation's own claims do not stand in its way.
        """
        while True:
            calendar = await self._calendar(vehicle_id)
            claims = claims_of(calendar)
            for other in [one for one in claims if one.period.overlaps(period)]:
                if other.number == number and join:
                    return other
                if other.number != number and await self.counts(other, settle=True):
                    return None
                if other.number != number:
                    claims.remove(other)
            now = self._clock()
            made = Claim(uuid4().hex, number, period, now + self._patience)
            if await self._calendars.replace(with_claims(calendar, [*claims, made], now)):
                return made
            await self._jitter()

    async def drop(self, vehicle_id: str, claim_id: str) -> None:
        """Take a claim out that no longer counts; others would do so when they meet it."""
        while True:
            calendar = await self._calendar(vehicle_id)
            claims = claims_of(calendar)
            kept = [one for one in claims if one.id != claim_id]
            if len(kept) == len(claims):
                return
            if await self._calendars.replace(with_claims(calendar, kept, self._clock())):
                return
            await self._jitter()

    async def counts(self, claim: Claim, *, settle: bool) -> bool:
        """Tell whether a claim holds its vehicle. `settle`: make void a claim whose maker seems gone."""
        while True:
            written = await self._reservations.read(claim.number)
            if written is not None and written["status"] != "confirmed":
                return False
            if written is not None and written["claim"] == claim.id:
                return True
            if claim.patience_until > self._clock():
                return True
            if not settle or await self._make_void(claim, written):
                return False

    async def _make_void(self, claim: Claim, written: Document | None) -> bool:
        if written is None:
            return await self._reservations.create({"id": claim.number, "status": "void"})
        # Whoever meant to change the reservation has read the document as it is: any write stops that.
        return await self._reservations.replace({**written, "fences": written.get("fences", 0) + 1})

    async def is_free(self, vehicle_id: str, period: Period) -> bool:
        """Tell whether a claim has a chance, without making one."""
        calendar = await self._calendars.read(vehicle_id) or {}
        overlapping = [one for one in claims_of(calendar) if one.period.overlaps(period)]
        return not any([await self.counts(one, settle=False) for one in overlapping])

    async def all_claims(self) -> dict[str, list[Claim]]:
        """Return the claims of every vehicle that has some."""
        return {one["id"]: claims_of(one) for one in await self._calendars.all() if one.get("claims")}

    async def draw_number(self) -> tuple[int, str]:
        """Return a number nobody had; some may never be used."""
        async with self._drawing:  # among ourselves we need not race
            while True:
                last = await self._calendars.read(_NUMBERS)
                if last is None:
                    drawn, done = 1, await self._calendars.create({"id": _NUMBERS, "last": 1})
                else:
                    drawn = int(last["last"]) + 1
                    done = await self._calendars.replace({**last, "last": drawn})
                if done:
                    return drawn, reservation_number(drawn)
                await self._jitter()

    async def _calendar(self, vehicle_id: str) -> Document:
        while (calendar := await self._calendars.read(vehicle_id)) is None:
            await self._calendars.create({"id": vehicle_id, "claims": []})
        return calendar

    async def _jitter(self) -> None:
        await asyncio.sleep(random.uniform(0, 0.05))  # those who met do not meet again at once
