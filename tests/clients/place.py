"""Where a client calls: one running kaiwa, by plain sockets and by TLS. Knows addresses and the key, no client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KEY = "sk-kaiwa-clients"


@dataclass(frozen=True)
class Place:
    """A server, or the line in front of it. `engine` says who answers behind it: local or relay."""

    engine: str
    plain: str
    """host:port of the plain listener."""
    secure: str = ""
    """host:port of the TLS listener."""
    certificate: Path | None = None
    """What a client has to trust to use `secure`."""
    private_key: Path | None = None
    """The key of that certificate, for a line that stands in for the server."""
    patience_s: float = 30.0
    """How long a client waits for one event before it calls the turn failed."""
