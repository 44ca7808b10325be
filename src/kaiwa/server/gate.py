"""The gate of HTTP requests: key, web origin, CORS, and errors in the service's form.

Source: reference A2. Knows nothing of what a request asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kaiwa.errors import PeerError, UpstreamError
from kaiwa.policy.caller import Scope
from kaiwa.policy.headers import limit_headers, refusal_headers
from kaiwa.policy.holds import LimitReached
from kaiwa.policy.shaping import NotAllowed
from kaiwa.server.access import origin_fits
from kaiwa.server.bodies import TooLarge
from kaiwa.server.doors import Doors
from kaiwa.server.failures import failure, failure_of
from kaiwa.server.gateway import Relayed
from kaiwa.server.request_ids import ids_of
from kaiwa.server.routes import Answer
from kaiwa.server.security_headers import ALWAYS
from kaiwa.server.settings import Settings

_EXPOSED = ", ".join(
    (
        "Location",
        "X-Request-Id",
        "Retry-After",
        *(
            f"X-RateLimit-{what}-{kind}"
            for what in ("Limit", "Remaining", "Reset")
            for kind in ("Requests", "Tokens", "Money")
        ),
    )
)
_LEFT = 499  # what nginx calls a client that left
_ASKED = "authorization, content-type, api-key, openai-beta, x-openai-agents-sdk"


@dataclass
class Gate:
    """Wraps what answers requests, so that it sees only those that may be made. `settings` may change."""

    settings: Settings
    doors: Doors

    def keyed(self, answer: Answer, scope: Scope = "admin") -> Answer:
        """Ask for a key with this scope; `request.state.caller` is whose it is.

        A key for one session opens that session and nothing else.
        """

        async def checked(request: Request) -> Response:
            visitor = await self.doors.visitor(request)
            if visitor is None or visitor.opens_one_session:
                return failure(401, "invalid_api_key", "Incorrect API key provided.")
            if not visitor.caller.may(scope):
                return out_of_scope(scope)
            request.state.caller = visitor.caller
            return await answer(request)

        return self.open(checked)

    def counted(self, answer: Answer, scope: Scope) -> Answer:
        """Ask for a key, and count the request against its limits; `request.state.hold` may spend more."""

        async def checked(request: Request) -> Response:
            hold = await self.doors.enter(request.state.caller)
            if isinstance(hold, LimitReached):
                return limit_reached(hold)
            request.state.hold = hold
            with hold:
                response = await answer(request)
            response.headers.update(limit_headers(hold.standing))
            return response

        return self.keyed(checked, scope)

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
            except ClientDisconnect:  # in the middle of its body: nobody reads this
                response = Response(status_code=_LEFT)
            ids = ids_of(request)
            response.headers.update(ids.headers)
            if isinstance(response, Relayed):
                response.when_over(lambda status: ids.log(status=status))
            else:
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
    response = failure(
        500, None, "The server had an error while processing your request.", type="server_error"
    )
    response.headers.update(ALWAYS)  # outside of `SafeAnswers`
    return response


def _refused(error: PeerError) -> Response:
    if isinstance(error, NotAllowed):
        return failure_of(error, error.status)
    if not isinstance(error, TooLarge):
        return failure_of(error)
    response = failure_of(error, 413)
    response.headers["connection"] = "close"  # what is left of the body is not read
    return response


def _unable(error: UpstreamError) -> Response:
    """Answer for an engine that failed or has no room (503), or that a service limits (429)."""
    if error.code != "rate_limit_exceeded":
        return failure(503, error.code, error.message, type="server_error")
    return failure(429, error.code, error.message, type="rate_limit_error")


def limit_reached(reached: LimitReached) -> Response:
    """Answer for a caller who has used up a limit."""
    response = failure(429, reached.code, reached.message, type=reached.type)
    response.headers.update(refusal_headers(reached))
    return response


def out_of_scope(scope: Scope) -> Response:
    text = f"You have insufficient permissions for this operation. Missing scopes: {scope}."
    return failure(403, "insufficient_permissions", text)


def _foreign() -> Response:
    text = "This origin may not connect. Add it to KAIWA_ALLOWED_ORIGINS."
    return failure(403, "insufficient_permissions", text)


def _shared(request: Request, response: Response) -> Response:
    """Let the page that asked read the answer; its origin was found good before."""
    origin = request.headers.get("origin")
    if origin is not None:
        response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = _EXPOSED
        response.headers.add_vary_header("Origin")
    return response
