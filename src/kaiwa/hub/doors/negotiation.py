"""What a client learns before it connects (rules S-1 to S-5). Knows the answer's fields, not who is
connected.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kaiwa.hub.doors.exchange import Exchange
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


def described(version: int, connection_id: str, token: str, stateful: bool, options: HubOptions) -> bytes:
    answer: dict[str, Any] = {"negotiateVersion": version, "connectionId": connection_id}
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
