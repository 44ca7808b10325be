"""How a peer can break the hub protocol. The texts go to the peer: names of properties, never values."""

from __future__ import annotations

from kaiwa.errors import KaiwaError


class InvalidMessage(KaiwaError):
    """The bytes are no message of the protocol; the connection is closed with this text."""
