"""Who may connect: keys in every place a client puts them, and the Origin of web pages."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.websockets import WebSocket

from kaiwa.server.settings import is_loopback

KEY_PROTOCOL = "openai-insecure-api-key."


def offered_keys(socket: WebSocket) -> list[str]:
    """Return every credential of the upgrade: header, bearer, query, subprotocol. Source: reference A1."""
    keys = [socket.headers.get("api-key"), socket.query_params.get("api-key")]
    for value in (socket.headers.get("authorization"), socket.query_params.get("Authorization")):
        scheme, _, rest = (value or "").partition(" ")
        keys.append(rest.strip() if scheme.lower() == "bearer" else None)
    keys += [
        name.removeprefix(KEY_PROTOCOL) for name in subprotocols(socket) if name.startswith(KEY_PROTOCOL)
    ]
    return [key for key in keys if key]


def subprotocols(socket: WebSocket) -> list[str]:
    offered: list[str] = socket.scope.get("subprotocols", [])
    return offered


def key_fits(expected: SecretStr | None, keys: list[str]) -> bool:
    """Compare in constant time. Without an expected key everybody fits."""
    if expected is None:
        return True
    wanted = expected.get_secret_value().encode()
    return any(hmac.compare_digest(wanted, key.encode()) for key in keys)


def origin_fits(socket: WebSocket, allowed: tuple[str, ...]) -> bool:
    """Programs send no Origin; pages must come from this machine or be allowed by name."""
    origin = socket.headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return True
    host = urlsplit(origin).hostname
    return host is not None and is_loopback(host)
