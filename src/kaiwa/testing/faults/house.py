"""A house in test mode: what goes wrong with its connections, tools, stores and services, as it was told.

Fits `server.disturbing.Disturber`; the command line brings the two together. Each request may choose faults
of its own; without them those of the house hold. Knows who asks when; each place's file does what is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from kaiwa.testing.faults.choosing import Choice, Strikes, parse_choices
from kaiwa.testing.faults.sockets import disturbed_socket
from kaiwa.testing.faults.stores import disturb_stores
from kaiwa.testing.faults.strikes import STRIKES, strikes_here
from kaiwa.testing.faults.tools import around_a_call
from kaiwa.testing.service.state import FAULTS_HEADER
from kaiwa.tools.work import AROUND

HEADER: Final = b"x-kaiwa-fault"
QUERY: Final = "kaiwa_fault"
_CHAT: Final = frozenset({"upstream-slow-first-token"})
_REALTIME: Final = frozenset({"upstream-slow-connect", "upstream-expired"})


class TestHouse:
    """`faults` strike every request that chooses none; `database`: the SQLite file of the house, if any.

    Raises ValueError for a fault that is not in the list, or cannot be played by a house.
    """

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    def __init__(self, faults: str = "", *, database: Path | None = None) -> None:
        self._strikes = Strikes(_playable(parse_choices(faults)))
        disturb_stores(database)

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application behind a door that lets things go wrong."""

        async def disturbed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in ("http", "websocket"):
                await app(scope, receive, send)
                return
            try:
                strikes = self._chosen_by(scope)
            except ValueError as wrong:
                await _refuse(scope, receive, send, str(wrong))
                return
            STRIKES.set(strikes)
            AROUND.set(around_a_call)
            if strikes and scope["type"] == "websocket":
                await disturbed_socket(app, scope, receive, send, strikes)
            else:
                await app(scope, receive, send)

        return disturbed

    def upstream_headers(self, door: Literal["chat", "realtime"]) -> Mapping[str, str]:
        """Return what the next request to a service bears: the stand-in does what it says."""
        strikes, fields = strikes_here(), dict[str, str]()
        others = _REALTIME if door == "chat" else _CHAT
        for name in strikes.names("service") - others:
            if (choice := strikes.due(name)) is not None:
                fields |= choice.for_the_service()
        told = ",".join(f"{name}={value}" for name, value in fields.items())
        return {FAULTS_HEADER: told} if told else {}

    def _chosen_by(self, scope: Scope) -> Strikes:
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == HEADER]
        named += parse_qs(scope["query_string"].decode("latin-1"), separator="&").get(QUERY, [])
        return Strikes(_playable(parse_choices(",".join(named)))) if named else self._strikes


def _playable(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    for choice in choices:
        if choice.fault.player not in ("house", "service"):
            raise ValueError(f"{choice.fault.name} is not played by a house: see docs/faults.md")
    return choices


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    """Answer 400, also to an upgrade."""
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    error = {"type": "invalid_request_error", "code": "unknown_fault", "message": why, "param": None}
    body = json.dumps({"error": error}).encode()
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in cast(dict[str, Any], scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 4000})
            return
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": 400, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
