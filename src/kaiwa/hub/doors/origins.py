"""Which pages may use a hub: CORS for requests, and the Origin of WebSockets, which CORS does not guard
(S-51).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from kaiwa.hub.doors.exchange import Exchange, Headers

_ALLOWED_HEADERS: Final = b"x-requested-with, x-signalr-user-agent, content-type, authorization"
_MAX_AGE_S: Final = b"600"
_PORTS: Final = {"http": 80, "https": 443}


def is_allowed(exchange: Exchange, origins: tuple[str, ...]) -> bool:
    """Programs send no Origin; a page of the hub's own site is always welcome."""
    origin = exchange.headers.get("origin")
    if origin is None or "*" in origins or origin in origins or _is_on_any_port(origin, origins):
        return True
    return _is_same_site(origin, exchange.headers.get("host", ""))


def _is_on_any_port(origin: str, origins: tuple[str, ...]) -> bool:
    """`http://localhost:*` is every port of that host."""
    site, _, port = origin.rpartition(":")
    return port.isdigit() and f"{site}:*" in origins


def _is_same_site(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"//{host}")
        default = _PORTS.get(parts.scheme)
        theirs = (parts.hostname, parts.port or default)
        return default is not None and theirs == (own.hostname, own.port or default)
    except ValueError:  # a port that is no number
        return False


def cors_headers(exchange: Exchange, origins: tuple[str, ...]) -> Headers:
    """The page's origin is reflected: with credentials a browser takes no `*`."""
    origin = exchange.headers.get("origin")
    if origin is None or not is_allowed(exchange, origins):
        return ()
    return (
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"Origin"),
    )


def preflight_headers(exchange: Exchange) -> Headers:
    if not exchange.always:
        return ()
    return (
        (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
        (b"access-control-allow-headers", _ALLOWED_HEADERS),
        (b"access-control-max-age", _MAX_AGE_S),
    )
