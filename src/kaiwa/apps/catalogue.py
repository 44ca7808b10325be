"""The agents that ship with kaiwa, by name. Knows where their data goes; does not serve them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from kaiwa.apps.library.agent import DURATION_S, library_agent
from kaiwa.apps.rentacar.agent import rentacar_agent
from kaiwa.apps.rentacar.store import ReservationStore
from kaiwa.apps.rentacar.stores import open_store
from kaiwa.apps.weather.agent import weather_agent
from kaiwa.tools.agent import Agent

RENTACAR_FILE: Final = "rentacar.db"


def builtin_agents(
    data_dir: Path,
    *,
    database: str | Path | ReservationStore | None = None,
    search_duration_s: float = DURATION_S,
) -> dict[str, Agent]:
    """Return "rentacar", "weather", "library", "concierge" (the tools of all three), each also as "…-en".

    Reservations go to `database` (a path, URL or store), or else to `rentacar.db` in `data_dir`; the file
    is made when a tool first needs it.
    """
    where = data_dir / RENTACAR_FILE if database is None else database
    store = open_store(where) if isinstance(where, (str, Path)) else where
    japanese = _agents("ja", store, search_duration_s)
    english = [replace(agent, name=f"{agent.name}-en") for agent in _agents("en", store, search_duration_s)]
    return {agent.name: agent for agent in (*japanese, *english)}


def _agents(language: Literal["ja", "en"], store: ReservationStore, search_duration_s: float) -> list[Agent]:
    specialists = [
        rentacar_agent(store, language=language),
        weather_agent(language),
        library_agent(language, search_duration_s),
    ]
    concierge = Agent(
        name="concierge",
        instructions="\n".join(agent.instructions for agent in specialists),
        tools=[entry for agent in specialists for entry in agent.tools],
        language=language,
        time_zone="Asia/Tokyo",
    )
    return [*specialists, concierge]
