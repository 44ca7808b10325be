"""How a house ends: nobody new is let in, what runs comes to its end within bounds, and who is left is told.

Knows the order of things; each part knows by itself how it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kaiwa.runner import Leaving
from kaiwa.server.admission import Refusal
from kaiwa.server.cluster.crossing import App
from kaiwa.server.gateway import shutting_down
from kaiwa.server.routes import Answer, Entry

log = logging.getLogger("kaiwa.server")

SHUTTING_DOWN: Final = Refusal(
    "server_shutting_down",
    "The server is shutting down. Connect again, and another one answers.",
    1013,
    "server_error",
)
_LAST_WORDS_S: Final = 6.0
"""After their time is up conversations may take so long to say so, and to close."""
_OF_WHAT_RUNS: Final = ("/hangup", "/accept", "/reject", "/refer")
_BEGIN_BY_GET: Final = frozenset({"/api/negotiate", "/api/realtime/session"})
_NEGOTIATE: Final = "/negotiate"
Part = Callable[[], Awaitable[None]]


class Draining:
    """`leaving` is what conversations look at. `notice_s`: how long it takes at least."""

    def __init__(self, bound_s: float, notice_s: float) -> None:
        self.leaving = Leaving()
        self._bound_s = bound_s
        self._notice_s = notice_s

    @property
    def began(self) -> bool:
        return self.leaving.asked.is_set()

    def guarded(self, entry: Entry) -> Entry:
        """Return the entry; if it begins something, it refuses to once the house ends."""
        begins = entry.method == "POST" and not entry.paths[0].endswith(_OF_WHAT_RUNS)
        return (
            entry._replace(answer=self.unless_ending(entry.answer))
            if begins or entry.paths[0] in _BEGIN_BY_GET
            else entry
        )

    def unless_ending(self, answer: Answer) -> Answer:
        """Refuse what begins something; who reads a stream on may do so."""

        async def checked(request: Request) -> Response:
            if self.began and "last-event-id" not in request.headers:
                return shutting_down()
            return await answer(request)

        return checked

    def hub(self, app: App) -> App:
        """Let no client negotiate any more; those that have may come."""

        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            ends = self.began and scope["type"] == "http" and scope["path"].endswith(_NEGOTIATE)
            await (shutting_down() if ends else app)(scope, receive, send)

        return checked

    async def run(self, empty: Part, *parts: Part, last: Part) -> None:
        """Drain the parts, each with its own bound, and conversations until `empty`; then do the last."""
        began = time.monotonic()
        self.leaving.ask(self._bound_s)
        log.info("the server ends: what runs may finish", extra={"within_s": self._bound_s})
        notice = asyncio.sleep(self._notice_s)
        await asyncio.gather(notice, self._within(empty), *(part() for part in parts))
        await last()
        elapsed_ms = round((time.monotonic() - began) * 1000)
        log.info("nothing runs any more", extra={"elapsed_ms": elapsed_ms})

    async def _within(self, empty: Part) -> None:
        try:
            async with asyncio.timeout(self._bound_s + _LAST_WORDS_S):
                await empty()
        except TimeoutError:
            log.warning("conversations are left that did not end")
