"""Where a client calls: one running kaiwa, by plain sockets and by TLS. Knows addresses and the key, no client."""

from __future__ import annotations

from dataclasses import dataclass

from kaiwa.server.certificates import Certificate

KEY = "sk-kaiwa-clients"
SERVICE_KEY = "sk-service-behind"


@dataclass(frozen=True)
class Place:
    """A server, or the line in front of it. `engine` says who answers behind it: local or relay."""

    engine: str
    plain: str
    """host:port of the plain listener."""
    secure: str
    """host:port of the TLS listener."""
    certificate: Certificate
    patience_s: float = 30.0
    """How long a client waits for one event before it calls the turn failed."""
