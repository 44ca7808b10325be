"""How the REST API says no: a status, a code in a header, and an error object (rule S-57)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

INVALID: Final = "Error.Request.Invalid"
_FULL: Final = 503
_TRY_AGAIN_S: Final = "1"


class Fault(Exception):
    """A request that is answered with a status and a code. Its words never repeat a body."""

    def __init__(self, status: int, code: str, message: str, target: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target


def answer_of(fault: Fault) -> Response:
    body: dict[str, Any] = {"code": fault.code, "message": fault.message, "details": []}
    if fault.target is not None:
        body["target"] = fault.target
    headers = {"x-ms-error-code": fault.code}
    if fault.status == _FULL:
        headers["retry-after"] = _TRY_AGAIN_S
    return JSONResponse(body, fault.status, headers=headers)


def invalid(message: str, target: str | None = None) -> Fault:
    return Fault(400, INVALID, message, target)


def no_connection(connection_id: str) -> Fault:
    return Fault(404, "Error.Connection.NotExisted", "There is no such connection.", "connectionId")
