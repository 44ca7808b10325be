"""The real server in the event loop of a test: its ports, its limits, its way to end; answers by script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kaiwa.server.app import create_app
from kaiwa.server.conversations import Answerer, HostAnswerer
from kaiwa.server.listening import HouseServer
from kaiwa.server.settings import Settings
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Script


def at_home(directory: Path, **given: Any) -> Settings:
    """Settings that read no environment and write only into `directory`."""
    places = {"database": directory / "desk.db", "cache_directory": directory}
    return Settings(_env_file=None, **({"port": 0} | places | given))  # type: ignore[call-arg]


class InThisLoop(HouseServer):
    """Leaves signals to the process, and ends without waiting for a tick."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.leave = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.leave.wait()


@asynccontextmanager
async def running(settings: Settings, answerer: Answerer | None = None) -> AsyncIterator[InThisLoop]:
    """Serve until the block is left. Without an answerer: host sessions over a scripted engine."""
    answers = answerer or HostAnswerer(settings, lambda agent: ServiceEngine(Script()))
    listens: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    app = create_app(settings, answers)
    server = InThisLoop(app, settings, lambda _: listens.set_result(None))
    serving = asyncio.create_task(server._serve())
    await asyncio.wait([serving, listens], return_when=asyncio.FIRST_COMPLETED)
    try:
        if not serving.done():
            yield server
    finally:
        server.leave.set()
        await serving
