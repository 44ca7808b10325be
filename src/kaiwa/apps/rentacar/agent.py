"""The rental car desk as an agent. Puts store, rules and language together; knows no server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from kaiwa.apps.rentacar import english, japanese
from kaiwa.apps.rentacar.service import Clock, RentacarService, utc_now
from kaiwa.apps.rentacar.store import ReservationStore
from kaiwa.apps.rentacar.stores import open_store
from kaiwa.tools.agent import Agent


def rentacar_agent(
    database: str | Path | ReservationStore,
    *,
    language: Literal["ja", "en"] = "ja",
    clock: Clock = utc_now,
) -> Agent:
    """Return the desk's agent on a store, or on what `open_store` makes of a path or URL.

    `clock` gives the aware present; a booking must not begin before it.
    """
    store = open_store(database) if isinstance(database, (str, Path)) else database
    service = RentacarService(store, clock)
    desk = english if language == "en" else japanese
    return Agent(
        name="rentacar",
        instructions=desk.INSTRUCTIONS,
        tools=desk.tools(service),
        language=language,
        time_zone="Asia/Tokyo",
    )
