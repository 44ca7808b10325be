"""Which pages may ask functions, as `Host.CORS` in local.settings.json says. Knows origins and headers."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_MAX_AGE_S: Final = "600"


class Cors:
    def __init__(self, origins: tuple[str, ...], credentials: bool) -> None:
        self._origins = origins
        self._credentials = credentials and "*" not in origins

    def is_preflight(self, request: Request) -> bool:
        return request.method == "OPTIONS" and "access-control-request-method" in request.headers

    def preflight(self, request: Request) -> Response:
        """Answer for the function, which the browser asks afterwards."""
        if self._allowed(request) is None:
            return Response(status_code=403)
        response = Response(status_code=204)
        response.headers["access-control-allow-methods"] = request.headers["access-control-request-method"]
        response.headers["access-control-allow-headers"] = request.headers.get(
            "access-control-request-headers", "content-type"
        )
        response.headers["access-control-max-age"] = _MAX_AGE_S
        return response

    def mark(self, request: Request, response: Response) -> None:
        """Add the headers that let the page read an answer."""
        origin = self._allowed(request)
        if origin is None:
            return
        response.headers["access-control-allow-origin"] = origin
        if origin != "*":
            response.headers.append("vary", "Origin")
        if self._credentials:
            response.headers["access-control-allow-credentials"] = "true"

    def _allowed(self, request: Request) -> str | None:
        origin = request.headers.get("origin")
        if origin is None:
            return None
        if "*" in self._origins:
            return "*"
        return origin if origin.rstrip("/") in self._origins else None
