"""The real server in the event loop of a test: its ports, its limits, its way to end; answers by script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from kaiwa.engines.speech_service import SpeechService
from kaiwa.server.app import create_app
from kaiwa.server.calls_media import Media
from kaiwa.server.conversations import Answerer, HostAnswerer
from kaiwa.server.disturbing import Disturber
from kaiwa.server.ephemeral import EphemeralKeys
from kaiwa.server.listening import HouseServer
from kaiwa.server.settings import Settings
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Script


def at_home(directory: Path, **given: Any) -> Settings:
    """Settings that read no environment and write only into `directory`."""
    places = {"database": directory / "desk.db", "cache_directory": directory}
    usual = {"port": 0, "drain_s": 0}
    return Settings(_env_file=None, **(usual | places | given))  # type: ignore[call-arg]


class InThisLoop(HouseServer):
    """Leaves signals to the process, and ends without waiting for a tick."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.leave = asyncio.Event()

    async def serve_here(self) -> None:
        await self._serve()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.leave.wait()


async def _given(media: Media) -> Media:
    return media


@asynccontextmanager
async def running(
    settings: Settings,
    answerer: Answerer | None = None,
    *,
    keys: EphemeralKeys | None = None,
    speech: SpeechService | None = None,
    media: Media | None = None,
    as_configured: bool = False,
    change: Callable[[InThisLoop], None] | None = None,
    disturber: Disturber | None = None,
) -> AsyncIterator[InThisLoop]:
    """Serve until the block is left. Without an answerer: host sessions over a scripted engine.

    `as_configured`: whoever the settings name answers. `media` carries calls; None: the house's own, once there is one. `change` may alter the server before it begins.
    """
    answers = answerer
    if answers is None and not as_configured:
        answers = HostAnswerer(settings, lambda agent: ServiceEngine(Script()))
    listens = asyncio.Event()
    start = None if media is None else partial(_given, media)
    app = create_app(settings, answers, keys, speech, start, disturber=disturber)
    server = InThisLoop(app, settings, lambda _: listens.set())
    if change is not None:
        change(server)
    serving = asyncio.create_task(server.serve_here())
    heard = asyncio.create_task(listens.wait())
    await asyncio.wait([serving, heard], return_when=asyncio.FIRST_COMPLETED)
    heard.cancel()
    try:
        if not serving.done():
            yield server
    finally:
        server.leave.set()
        await serving
