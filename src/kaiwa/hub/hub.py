"""The class that hubs derive from: its methods are what clients call, and it is an ASGI application.

Knows the parts and puts them together; the doors know HTTP, the switchboard knows who is connected.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from kaiwa.hub.backplane import Alone, Backplane
from kaiwa.hub.clients import CallerClients, Groups
from kaiwa.hub.context import CURRENT, Context
from kaiwa.hub.doors.app import Doors
from kaiwa.hub.doors.exchange import Receive, Scope, Send
from kaiwa.hub.errors import DeclarationError, HubException
from kaiwa.hub.options import HubOptions
from kaiwa.hub.switchboard import Switchboard

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_HOOKS: Final = {"on_connected", "on_disconnected"}


class Hub:
    """Derive from it, and give methods that clients call; one value serves all clients.

        class Chat(Hub):
            async def say(self, room: str, text: str) -> None:
                await self.clients.group(room).send("said", self.context.user_id, text)

    Asynchronous generators are streams; a parameter of `AsyncIterator[T]` is a stream from the client.
    Attributes of `self` are shared by all; what belongs to one connection goes into `self.context.items`.
    Raises DeclarationError for a method that no client could call.
    """

    def __init__(self, options: HubOptions | None = None, backplane: Backplane | None = None) -> None:
        self._board = Switchboard(self, Hub, options or HubOptions(), backplane or Alone())
        self._doors = Doors(self._board)

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name in vars(cls):
            if not name.startswith("_") and name not in _HOOKS and hasattr(Hub, name):
                raise DeclarationError(
                    f"{cls.__qualname__}.{name} would hide Hub.{name}. Choose another name, and give "
                    f'it to clients with @hub_name("{name}").'
                )

    async def on_connected(self) -> None:
        """Override: a client is there, and nothing of it was looked at yet. What it raises turns it away."""

    async def on_disconnected(self, error: HubException | None) -> None:
        """Override: it is gone, all its calls have ended. `error` None: it said goodbye or just left."""

    @property
    def context(self) -> Context:
        """The connection that this code runs for. Raises LookupError outside of a hub's methods."""
        context = CURRENT.get(None)
        if context is None or context.hub is not self:
            raise LookupError("`context` and `clients.caller` exist only in a method that a client called")
        return context

    @property
    def clients(self) -> CallerClients:
        """Whom to send to; from anywhere in the process. `caller` and `others` need a caller."""
        return CallerClients(self._board, lambda: self.context.connection_id)

    @property
    def groups(self) -> Groups:
        return Groups(self._board)

    @property
    def switchboard(self) -> Switchboard:
        """All its connections here, for who builds a service of hubs."""
        return self._board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application, at whatever path it is mounted."""
        await self._doors(scope, receive, send)

    def routes(self, path: str) -> list[BaseRoute]:
        """Return the routes for Starlette and FastAPI that put this hub at `path`, such as `/chat`."""
        from kaiwa.hub.doors.mounting import HubRoute  # Starlette is not needed otherwise

        return [HubRoute(path, self)]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve inside, and send everybody away with leave to come back at the end: for an app's lifespan.

        Without it a hub begins to serve with its first request and ends with its event loop.
        """
        await self._board.start()
        try:
            yield
        finally:
            await self._board.stop()
