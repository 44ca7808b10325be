"""HTTP answers of functions: from what a function returned, or from a trouble. Knows HTTP only."""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse, Response

from kaiwa.functions.process import Invoked
from kaiwa.functions.troubles import Trouble

HOP_BY_HOP: Final = frozenset(
    {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_TEXT: Final = "text/plain; charset=utf-8"


def answer_of(invoked: Invoked) -> Response:
    """Return the response of a function that is no stream."""
    if invoked.http is None:
        kind = "application/json" if invoked.kind == "json" else _TEXT
        return Response(invoked.body, media_type=kind) if invoked.kind else Response(status_code=204)
    response = Response(invoked.body, invoked.http.status)
    for name, value in invoked.http.headers:
        if name.lower() not in HOP_BY_HOP:
            response.headers.append(name, value)
    return response


def refusal(trouble: Trouble, status: int, invocation_id: str) -> JSONResponse:
    """Tell a caller what went wrong as far as its sentence goes; details are in the log."""
    error = {
        "code": trouble.code,
        "message": trouble.english,
        "message_ja": trouble.japanese,
        "invocation_id": invocation_id,
    }
    return JSONResponse({"error": error}, status)
