"""HTTP answers that say no, in the service's form. Knows the form; nothing of why."""

from __future__ import annotations

from starlette.responses import JSONResponse

from kaiwa.errors import INVALID_REQUEST, PeerError


def failure(
    status: int,
    code: str | None,
    message: str,
    *,
    param: str | None = None,
    type: str = INVALID_REQUEST,
) -> JSONResponse:
    """Return `{"error": {message, type, code, param}}`. Source: reference A2."""
    body = {"error": {"message": message, "type": type, "code": code, "param": param}}
    return JSONResponse(body, status)


def failure_of(error: PeerError, status: int = 400) -> JSONResponse:
    return failure(status, error.code, error.message, param=error.param, type=error.type)
