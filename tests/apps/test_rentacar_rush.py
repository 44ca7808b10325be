"""Fifty callers at once want one car, on every store: one gets it, the others hear what is free instead."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kaiwa.apps.rentacar.agent import rentacar_agent
from kaiwa.apps.rentacar.store import ReservationStore

from .rentacar_desk import call, double_bookings, present

WISH: dict[str, Any] = {
    "locationId": "loc1",
    "vehicleType": "ミニバン",
    "startDate": "2026-11-28T10:00:00",
    "endDate": "2026-11-28T18:00:00",
}


async def test_one_of_fifty_callers_books_and_the_others_hear_of_alternatives(
    store: ReservationStore,
) -> None:
    desk = rentacar_agent(store, clock=present)

    answers = await asyncio.gather(
        *(call(desk, "create_reservation", customerName=f"客{n}", **WISH) for n in range(50))
    )

    booked = [answer for answer, failed in answers if not failed]
    refused = {json.dumps(answer, ensure_ascii=False) for answer, failed in answers if failed}
    assert len(booked) == 1
    assert refused == {
        '{"error": "東京駅前店では、その期間に空いているミニバンがありません。同じ店舗ではコンパクトが空いています。'
        'ミニバンは羽田空港店で空いています。"}'
    }
    assert double_bookings(await store.reservations()) == []


async def test_a_caller_who_is_heard_again_after_a_cancellation_gets_the_car(store: ReservationStore) -> None:
    desk = rentacar_agent(store, clock=present)
    booked, _ = await call(desk, "create_reservation", customerName="山田太郎", **WISH)
    refused = await call(desk, "create_reservation", customerName="佐藤花子", **WISH)

    await call(desk, "cancel_reservation", reservationNumber=booked["reservationNumber"])
    second, failed = await call(desk, "create_reservation", customerName="佐藤花子", **WISH)

    assert refused[1]
    assert not failed
    found, _ = await call(desk, "find_reservation", customerName="佐藤花子")
    assert [one["reservationNumber"] for one in found["reservations"]] == [second["reservationNumber"]]
