"""What a hub allows and how long it waits. Knows no connection.

The defaults are ASP.NET Core's, except that stateful reconnect is on (a client must ask for it anyway) and
that pages of other origins are refused until they are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from kaiwa.errors import ConfigError
from kaiwa.hub.following import Follow
from kaiwa.hub.identity import Authenticate, Redirecting, anybody, nowhere

Transport = Literal["WebSockets", "ServerSentEvents", "LongPolling"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("WebSockets", "ServerSentEvents", "LongPolling")


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    transports: tuple[Transport, ...] = TRANSPORTS
    detailed_errors: bool = False
    """Whether clients see the type and words of exceptions, which may hold secrets."""
    stateful_reconnect: bool = True
    authenticate: Authenticate = anybody
    """Says who a request comes from, or that it may not; asked on every request."""
    redirect: Redirecting = nowhere
    """Says whether a client that negotiates is sent to another service instead (rule S-6)."""
    close_at_expiry: bool = False
    """Whether a connection ends when its caller's token does."""
    origins: tuple[str, ...] = ()
    """Origins of pages on other sites that may connect, such as `https://shop.example`; `*` is any."""
    handshake_s: float = 15.0
    keep_alive_s: float = 15.0
    client_timeout_s: float = 30.0
    disconnect_s: float = 15.0
    """How long a connection outlives its transport: between polls, or until a stateful client is back."""
    poll_s: float = 90.0
    """How long a poll waits for something to say."""
    send_s: float = 10.0
    """How long a client may take none of what is sent to it."""
    max_message_bytes: int = 32 * 1024
    max_waiting_bytes: int = 1024 * 1024
    """What may wait for one client; one that is further behind is dropped."""
    stateful_buffer_bytes: int = 100_000
    parallel_invocations: int = 1
    """How many plain invocations of one client run at once; with one they keep their order."""
    upload_items: int = 10
    """How many items of an upload wait for the method before the client does."""
    min_negotiate_version: int = 0
    follow: Follow | None = None
    """Hears of every call of a method; None: nobody does."""
    prefix: str = ""
    """What ids and tokens of connections begin with: who made them, where several processes serve a hub."""

    def __post_init__(self) -> None:
        for name in ("handshake_s", "keep_alive_s", "client_timeout_s", "disconnect_s", "poll_s", "send_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(name, "must be more than zero.", "Give it a number of seconds.")
        if self.parallel_invocations < 1:
            raise ConfigError("parallel_invocations", "must be at least one.", "Use 1 to keep their order.")
        if not self.transports:
            raise ConfigError("transports", "must not be empty.", "Name at least one.")
