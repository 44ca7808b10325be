"""How connections to services are encrypted: the system's authorities, and sessions taken up again.

A handshake that takes up a session costs neither a certificate nor a signature. asyncio has no word for that,
so the context itself remembers the session of each host. Knows no sockets.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

MOST_HOSTS: Final = 256


class RememberingContext(ssl.SSLContext):
    """A client's context. `remember` a connection that has received something: tickets follow a handshake."""

    _sessions: dict[str, ssl.SSLSession]

    def remember(self, connection: ssl.SSLObject | None) -> None:
        if connection is None or connection.session is None or connection.server_hostname is None:
            return
        if len(self._sessions) >= MOST_HOSTS:
            self._sessions.clear()
        self._sessions[connection.server_hostname] = connection.session

    def wrap_bio(self, *given: Any, **named: Any) -> ssl.SSLObject:
        session = self._sessions.get(named.get("server_hostname") or "")
        if session is not None:
            named["session"] = session
        return super().wrap_bio(*given, **named)


def client_context() -> RememberingContext:
    """Return a context that trusts what this machine trusts; SSL_CERT_FILE and SSL_CERT_DIR count."""
    context = RememberingContext(ssl.PROTOCOL_TLS_CLIENT)
    context._sessions = {}  # pyright: ignore[reportPrivateUsage] - ssl.SSLContext is made by __new__
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    return context
