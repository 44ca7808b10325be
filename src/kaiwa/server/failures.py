"""HTTP answers that say no, in the service's form. Knows the form; nothing of why."""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse

from kaiwa.errors import INVALID_REQUEST, SERVER_ERROR, PeerError

TRY_AGAIN_S: Final = "1"


def failure(
    status: int,
    code: str | None,
    message: str,
    *,
    param: str | None = None,
    type: str = INVALID_REQUEST,
) -> JSONResponse:
    """Return `{"error": {message, type, code, param}}`. Source: reference A2.

    What is only now impossible says when to come again; who knows better replaces that.
    """
    body = {"error": {"message": message, "type": type, "code": code, "param": param}}
    return JSONResponse(body, status, {"retry-after": TRY_AGAIN_S} if status in (429, 503) else None)


def full(message: str) -> JSONResponse:
    """Say that the house has no room now. A caller's own limits are 429, and told by the gate."""
    return failure(503, "server_busy", message, type=SERVER_ERROR)


def failure_of(error: PeerError, status: int = 400) -> JSONResponse:
    return failure(status, error.code, error.message, param=error.param, type=error.type)
