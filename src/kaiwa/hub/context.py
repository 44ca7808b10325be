"""The connection that a hub method runs for, as the method sees it. Knows nothing of transports."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from kaiwa.hub.identity import Asking, Identity

if TYPE_CHECKING:
    from kaiwa.hub.connection import Connection
    from kaiwa.hub.hub import Hub


class Context:
    """`self.context` in a hub method."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def hub(self) -> Hub:
        return self._connection.switchboard.hub

    @property
    def connection_id(self) -> str:
        return self._connection.id

    @property
    def user_id(self) -> str | None:
        return self._connection.identity.user_id

    @property
    def claims(self) -> Mapping[str, Any]:
        return self._connection.identity.claims

    @property
    def identity(self) -> Identity:
        return self._connection.identity

    @property
    def request(self) -> Asking:
        """The request that began the connection, without its token."""
        return self._connection.asking

    @property
    def items(self) -> dict[str, Any]:
        """What the hub wants to remember of this connection; gone when it ends."""
        return self._connection.items

    @property
    def transport(self) -> str:
        return self._connection.transport

    @property
    def protocol(self) -> str:
        return self._connection.protocol

    def abort(self) -> None:
        """End the connection, without a way back (rule S-44)."""
        self._connection.abort()


CURRENT: Final[ContextVar[Context]] = ContextVar("kaiwa_hub_context")
