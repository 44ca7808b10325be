"""What a client learns before it connects (rules S-1 to S-5). Knows the answer's fields, not who is
connected.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kaiwa.hub.doors.exchange import Exchange
from kaiwa.hub.identity import Elsewhere, Identity
from kaiwa.hub.options import TRANSPORTS, HubOptions

NEWEST_VERSION: Final = 1
_FORMATS: Final = {
    "WebSockets": ["Text", "Binary"],
    "ServerSentEvents": ["Text"],
    "LongPolling": ["Text", "Binary"],
}


def version_asked(exchange: Exchange, options: HubOptions) -> int | str:
    """Return the version to negotiate by, or the words for a client that asks for none there is."""
    asked = exchange.query.get("negotiateversion", "0")
    try:
        version = min(int(asked), NEWEST_VERSION)
    except ValueError:
        return f"The client requested an invalid protocol version '{asked}'"
    if version < options.min_negotiate_version:
        return f"The client requested version '{version}', but the server does not support this version."
    return version


def asks_for_stateful(exchange: Exchange, options: HubOptions) -> bool:
    wanted = exchange.query.get("usestatefulreconnect", "").lower() == "true"
    return wanted and options.stateful_reconnect


def lifetime(identity: Identity, wall_time: float) -> dict[str, int]:
    """How long the caller's token is good for, where that is known (rule S-9)."""
    if identity.expires_at is None:
        return {}
    return {"tokenLifetimeSeconds": max(0, int(identity.expires_at - wall_time))}


def redirected(elsewhere: Elsewhere) -> bytes:
    token = {} if elsewhere.access_token is None else {"accessToken": elsewhere.access_token}
    return msgspec.json.encode({"url": elsewhere.url, **token})


def described(
    version: int, connection_id: str, token: str, stateful: bool, options: HubOptions, facts: dict[str, int]
) -> bytes:
    answer: dict[str, Any] = {"negotiateVersion": version, "connectionId": connection_id, **facts}
    if version >= 1:
        answer["connectionToken"] = token
    if stateful:  # absent otherwise: the JavaScript client rejects what it did not ask for
        answer["useStatefulReconnect"] = True
    answer["availableTransports"] = [
        {"transport": name, "transferFormats": _FORMATS[name]}
        for name in TRANSPORTS
        if name in options.transports
    ]
    return msgspec.json.encode(answer)


def refused(words: str) -> bytes:
    return msgspec.json.encode({"error": words})
