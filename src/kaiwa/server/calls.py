"""What may be done to a live call over HTTP: accept, reject, refer, hang up."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from kaiwa.server.failures import failure


async def act_on_call(request: Request) -> Response:
    """`POST …/realtime/calls/{call_id}/{act}`. No call is live in this house yet."""
    call_id = request.path_params["call_id"]
    return failure(404, "call_not_found", f"No live call has the id '{call_id[:64]}'.", param="call_id")
