"""Who may come in: keys in every place a client puts them, and the Origin of web pages."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import HTTPConnection

from kaiwa.server.ephemeral import PREFIX
from kaiwa.server.settings import is_loopback

KEY_PROTOCOL = "openai-insecure-api-key."


def offered_keys(connection: HTTPConnection) -> list[str]:
    """Return every credential of a request: header, bearer, query, subprotocol. Source: reference A1."""
    keys = [connection.headers.get("api-key"), connection.query_params.get("api-key")]
    for value in (connection.headers.get("authorization"), connection.query_params.get("Authorization")):
        scheme, _, rest = (value or "").partition(" ")
        keys.append(rest.strip() if scheme.lower() == "bearer" else None)
    keys += [
        name.removeprefix(KEY_PROTOCOL) for name in subprotocols(connection) if name.startswith(KEY_PROTOCOL)
    ]
    return [key for key in keys if key]


def subprotocols(connection: HTTPConnection) -> list[str]:
    offered: list[str] = connection.scope.get("subprotocols", [])
    return offered


def key_fits(expected: SecretStr | None, keys: Sequence[str]) -> bool:
    """Say whether one of the keys is the house's own; compares in constant time. Others are `doors`'.

    Without an expected key everybody fits but who offers nothing except ephemeral keys: those are good
    for what they were minted for, and for as long as they live.
    """
    if expected is None:
        return not keys or any(not key.startswith(PREFIX) for key in keys)
    wanted = expected.get_secret_value().encode()
    return any(hmac.compare_digest(wanted, key.encode()) for key in keys)


def origin_fits(connection: HTTPConnection, allowed: tuple[str, ...]) -> bool:
    """Programs send no Origin; pages must come from this machine or be allowed by name."""
    origin = connection.headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return True
    try:
        host = urlsplit(origin).hostname
    except ValueError:  # an address that no browser would send
        return False
    return host is not None and is_loopback(host)
