"""The gate of HTTP requests: key, web origin, CORS, and errors in the service's form.

Source: reference A2. Knows nothing of what a request asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kaiwa.errors import PeerError, UpstreamError
from kaiwa.server.access import key_fits, offered_keys, origin_fits
from kaiwa.server.bodies import TooLarge
from kaiwa.server.failures import failure, failure_of
from kaiwa.server.request_ids import ids_of
from kaiwa.server.routes import Answer
from kaiwa.server.settings import Settings

_ASKED = "authorization, content-type, api-key, openai-beta, x-openai-agents-sdk"


@dataclass(frozen=True)
class Gate:
    """Wraps what answers requests, so that it sees only those that may be made."""

    settings: Settings

    def keyed(self, answer: Answer) -> Answer:
        """Ask for the house's key. Ephemeral keys open sessions and nothing else."""

        async def checked(request: Request) -> Response:
            if not key_fits(self.settings.api_key, offered_keys(request)):
                return failure(401, "invalid_api_key", "Incorrect API key provided.")
            return await answer(request)

        return self.open(checked)

    def open(self, answer: Answer) -> Answer:
        """Ask for no key."""

        async def checked(request: Request) -> Response:
            if not origin_fits(request, self.settings.allowed_origins):
                return _foreign()
            try:
                response = await answer(request)
            except PeerError as error:
                response = _refused(error)
            except UpstreamError as error:
                response = _unable(error)
            ids = ids_of(request)
            response.headers.update(ids.headers)
            ids.log(status=response.status_code)
            return _shared(request, response)

        return checked

    async def preflight(self, request: Request) -> Response:
        """Answer a browser that asks whether a page may make a request."""
        if not origin_fits(request, self.settings.allowed_origins):
            return _foreign()
        headers = {
            "access-control-allow-methods": "GET, POST, OPTIONS",
            "access-control-allow-headers": request.headers.get("access-control-request-headers", _ASKED),
            "access-control-max-age": "600",
        }
        return _shared(request, Response(status_code=204, headers=headers))


async def unknown_address(request: Request, error: Exception) -> Response:
    """Answer requests that nothing in the house answers."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = error.headers if isinstance(error, HTTPException) else None
    response = failure(status, None, f"Invalid URL ({request.method} {request.url.path[:200]})")
    response.headers.update(headers or {})
    return response


async def broken(request: Request, error: Exception) -> Response:
    """Answer after a bug in the house; what it was goes to the log only."""
    return failure(500, None, "The server had an error while processing your request.", type="server_error")


def _refused(error: PeerError) -> Response:
    if not isinstance(error, TooLarge):
        return failure_of(error)
    response = failure_of(error, 413)
    response.headers["connection"] = "close"  # what is left of the body is not read
    return response


def _unable(error: UpstreamError) -> Response:
    """Answer for an engine that has no room (429) or failed (503)."""
    if error.code != "rate_limit_exceeded":
        return failure(503, error.code, error.message, type="server_error")
    response = failure(429, error.code, error.message, type="rate_limit_error")
    response.headers["retry-after"] = "1"
    return response


def _foreign() -> Response:
    text = "This origin may not connect. Add it to KAIWA_ALLOWED_ORIGINS."
    return failure(403, "insufficient_permissions", text)


def _shared(request: Request, response: Response) -> Response:
    """Let the page that asked read the answer; its origin was found good before."""
    origin = request.headers.get("origin")
    if origin is not None:
        response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = "Location, X-Request-Id"
        response.headers.add_vary_header("Origin")
    return response
