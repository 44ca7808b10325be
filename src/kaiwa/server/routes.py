"""Every address of the server, and what answers there: one table. Knows names, nothing of what they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from kaiwa.server.operations import Operation

Answer = Callable[[Request], Awaitable[Response]]
Open = Callable[[WebSocket], Awaitable[None]]

# OpenAI's base, Azure OpenAI's, and that of Azure's dated api-versions.
OPENAI, AZURE, AZURE_DATED = "/v1", "/openai/v1", "/openai"
BASES = (OPENAI, AZURE, AZURE_DATED)
REALTIME = tuple(f"{base}/realtime" for base in BASES)
# AzureOpenAI of the SDKs puts the deployment into the address of audio.
AUDIO = (*BASES, "/openai/deployments/{deployment}")
CHAT = (OPENAI, AZURE, "/openai/deployments/{deployment}")
# The name of the Azure portal for minting with the preview.
PORTAL = "/openai/realtimeapi"
# Where calls of the preview began.
RTC = ("/v1/realtimertc", "/openai/v1/realtimertc")
# What may be done to a call that nobody has answered yet.
RINGING = ("accept", "reject", "refer")


class Entry(NamedTuple):
    """One kind of request: its addresses, who answers, and what `/openapi.json` tells of it."""

    method: str
    paths: Sequence[str]
    answer: Answer
    told: Operation | None = None


def under(bases: Sequence[str], *names: str) -> tuple[str, ...]:
    return tuple(f"{base}/{name}" for base in bases for name in names)


def routes_of(table: Sequence[Entry], realtime: Open, preflight: Answer) -> list[BaseRoute]:
    """Return the routes; every address that takes a POST answers a browser's question about it too."""
    asked = {path: Route(path, preflight, methods=["OPTIONS"]) for entry in table for path in entry.paths}
    return [
        *(Route(path, entry.answer, methods=[entry.method]) for entry in table for path in entry.paths),
        *asked.values(),
        *(WebSocketRoute(path, realtime) for path in REALTIME),
    ]
