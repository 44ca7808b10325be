"""A kaiwa server without models on a real socket, and whoever throws frames at it, in one event loop.

The loop turns only while `run` does, so examples follow one another and nothing runs behind a test's back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.server.running import InThisLoop, at_home, running

from kaiwa.server.conversations import Answerer, HostAnswerer
from kaiwa.server.settings import Settings
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Script

T = TypeVar("T")
KEY = "the-key-of-this-house"


class House:
    def __init__(self, runner: asyncio.Runner, port: int) -> None:
        self._runner = runner
        self.port = port
        self.complaints: list[str] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def complained(self) -> list[str]:
        """Return and forget what was logged as an error: a crash leaves a trace there."""
        complaints, self.complaints = self.complaints, []
        return complaints


# uvicorn keeps its records from the root.
_LOGS = (None, "uvicorn")


class _Complaints(logging.Handler):
    def __init__(self, house: House) -> None:
        super().__init__(logging.ERROR)
        self._house = house
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._house.complaints.append(self.format(record))


def settings_in(directory: Path) -> Settings:
    return at_home(directory, agent="weather", api_key=KEY, max_sessions=1000)


def scripted_answerer(settings: Settings) -> HostAnswerer:
    return HostAnswerer(settings, lambda agent: ServiceEngine(Script()))


@contextmanager
def open_house(
    directory: Path, answerer: Answerer | None = None, *, around: Callable[[Any], Any] | None = None
) -> Iterator[House]:
    """Serve until the block is left. `answerer` None: a host session over the scripted engine.

    `around` puts something between the socket and the application.
    """

    def change(server: InThisLoop) -> None:
        if around is not None:
            server.config.loaded_app = around(server.config.loaded_app)

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        serving = running(settings_in(directory), answerer, change=change)
        server = runner.run(stack.enter_async_context(serving))
        house = House(runner, int(server.addresses[0].rpartition(":")[2]))
        handler = _Complaints(house)
        for name in _LOGS:
            logging.getLogger(name).addHandler(handler)
        try:
            yield house
        finally:
            runner.run(stack.aclose())
            for name in _LOGS:
                logging.getLogger(name).removeHandler(handler)
