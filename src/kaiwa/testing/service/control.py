"""The stand-in's control paths: faults read and set over HTTP, and what was received.

Knows the shared state; no emulated service has such paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kaiwa.testing.service.chat_habits import USUAL, Habits
from kaiwa.testing.service.faults import NO_FAULTS, Faults
from kaiwa.testing.service.state import Service

# What a client sends here may be a real key; its last letters tell which, unless they are most of it.
_SECRETS = ("authorization", "api-key", "sec-websocket-protocol")
_SHOWN_LETTERS = 4
_LONG_ENOUGH = 20


def control_routes(service: Service) -> Sequence[BaseRoute]:
    async def faults(request: Request) -> Response:
        deployment, faults = request.query_params.get("deployment"), service.faults
        if request.method == "DELETE":
            faults = NO_FAULTS
        elif request.method == "PUT":
            try:
                faults = msgspec.json.decode(await request.body(), type=Faults)
            except msgspec.DecodeError as wrong:
                return JSONResponse({"error": {"message": str(wrong)}}, 400)
        if deployment is not None:
            service.strike(deployment, faults)
        elif request.method != "GET":
            service.faults = faults
        return JSONResponse(msgspec.to_builtins(faults))

    async def requests(request: Request) -> Response:
        sessions = {session.request.number: session for session in service.sessions}
        entries: list[Any] = []
        for record in service.requests:
            session = sessions.get(record.number)
            frames = list(session.received) if session else []
            entries.append(_masked(asdict(record)) | {"frames": [str(frame) for frame in frames]})
        return JSONResponse({"requests": entries})

    async def habits(request: Request) -> Response:
        if request.method == "DELETE":
            service.habits = USUAL
        elif request.method == "PUT":
            try:
                service.habits = msgspec.json.decode(await request.body(), type=Habits)
            except msgspec.DecodeError as wrong:
                return JSONResponse({"error": {"message": str(wrong)}}, 400)
        return JSONResponse(msgspec.to_builtins(service.habits))

    async def chat(request: Request) -> Response:
        return JSONResponse(service.chat.told())

    return [
        Route("/emulate/habits", habits, methods=["GET", "PUT", "DELETE"]),
        Route("/emulate/chat", chat),
        Route("/emulate/faults", faults, methods=["GET", "PUT", "DELETE"]),
        Route("/emulate/requests", requests),
    ]


def _masked(record: dict[str, Any]) -> dict[str, Any]:
    pairs = {name: [_mask(*pair) for pair in record[name]] for name in ("headers", "query")}
    return record | pairs


def _mask(name: str, value: str) -> tuple[str, str]:
    if name.lower() not in _SECRETS:
        return name, value
    return name, f"…{value[-_SHOWN_LETTERS:]}" if len(value) >= _LONG_ENOUGH else "…"
