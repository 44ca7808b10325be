"""Pages of this server's own address that talk without a key, where the operator allows it.

A browser says by `Sec-Fetch-Site` that a page came from here. That keeps the pages of other sites out. It is
no proof of who asks: a program writes whatever header it likes. So it is off unless `KAIWA_PAGE_SESSIONS` is
set, which is for a server that only the right people reach.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from kaiwa.policy.caller import Caller, Scope
from kaiwa.server.gate import Gate
from kaiwa.server.routes import Answer

PAGE: Final = Caller(
    id="page", label="KAIWA_PAGE_SESSIONS", scopes=frozenset[Scope]({"tokens", "tools", "realtime"})
)
"""Whoever sits before a page of this server: may talk to an agent, and runs nothing but its functions."""


def came_from_here(request: Request) -> bool:
    """Say whether a browser made the request for a page of the very address that it asks.

    Browsers send `Origin` with a POST and not with a GET; where it is there, it must agree.
    """
    if request.headers.get("sec-fetch-site") != "same-origin":
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def keyed_or_own(gate: Gate, answer: Answer, scope: Scope) -> Answer:
    """Ask for a key, but not of this server's own pages where its settings say so."""
    by_key = gate.keyed(answer, scope)
    if not gate.settings.page_sessions:
        return by_key

    async def as_page(request: Request) -> Response:
        request.state.caller = PAGE
        return await answer(request)

    by_page = gate.open(as_page)

    async def checked(request: Request) -> Response:
        return await (by_page if came_from_here(request) else by_key)(request)

    return checked
