"""Which agent answers to which model name."""

from __future__ import annotations

from pathlib import Path

from kaiwa.apps.catalogue import builtin_agents
from kaiwa.apps.rentacar.stores import open_store
from kaiwa.server.settings import Settings
from kaiwa.tools.agent import Agent
from kaiwa.tools.loading import load_agent

PLAIN = Agent(name="kaiwa-local", instructions="")
_SERVICE_NAMES = ("gpt-realtime", "gpt-4o-realtime", "gpt-4o-mini-realtime")


class Directory:
    """The bundled agents, the configured one, and the service's model names as aliases of it."""

    def __init__(self, settings: Settings) -> None:
        self._more_names = (*settings.model_names, *settings.relayed_names)
        self.plain = PLAIN
        self._store = open_store(settings.database.get_secret_value())
        bundled = builtin_agents(Path(), database=self._store, search_duration_s=settings.library_seconds)
        self._agents = {PLAIN.name: PLAIN, **bundled}
        self.default = PLAIN
        if settings.agent is not None:
            self.default = self._agents.get(settings.agent) or load_agent(
                settings.agent, directory=Path.cwd()
            )
            self._agents[self.default.name] = self.default

    @property
    def names(self) -> list[str]:
        return list(self._agents)

    def find(self, model: str) -> Agent | None:
        if (agent := self._agents.get(model)) is not None:
            return agent
        known = model.startswith(_SERVICE_NAMES) or model in self._more_names or "*" in self._more_names
        return self.default if known else None

    async def close(self) -> None:
        """Let go of the bundled agents' database."""
        await self._store.aclose()
