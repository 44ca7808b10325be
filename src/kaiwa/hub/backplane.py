"""The seam between the hubs of several processes: what one publishes, all deliver to their own connections.

Knows no network. `Alone` is the hub that has no others; `kaiwa.hub.redis` joins those that have.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from kaiwa.hub.registry import Audience
from kaiwa.protocol.signalr.encoding import Outgoing


class GroupCommand(msgspec.Struct, frozen=True):
    """A change to the groups of a connection that another process may hold."""

    action: Literal["add", "remove"]
    group: str
    connection_id: str


class ClientCall(msgspec.Struct, frozen=True):
    """A call of a client's method whose result is wanted. The id is unique among all processes."""

    invocation_id: str
    target: str
    arguments: list[Any]


class Answer(msgspec.Struct, frozen=True):
    """What a client returned, or the words of why it did not."""

    result: Any = None
    error: str | None = None


class House(Protocol):
    """The hub of this process, as its backplane sees it."""

    def deliver(self, audience: Audience, message: Outgoing) -> None:
        """Send to whoever of the audience is connected here. Never waits for a client."""
        ...

    async def change_group(self, command: GroupCommand) -> bool:
        """Return whether the connection is here."""
        ...

    async def ask(self, call: ClientCall, connection_id: str) -> Answer | None:
        """Have a client here answer; None when it is not here."""
        ...


class Backplane(Protocol):
    async def start(self, house: House) -> None: ...

    async def stop(self) -> None: ...

    def publish(self, audience: Audience, message: Outgoing) -> Handed:
        """Hand over a message for every process, this one included, in the order of the calls.

        What it returns may be awaited by who wants to be slowed down when the others cannot follow.
        """
        ...

    async def watch(self, audiences: Sequence[Audience]) -> None:
        """Somebody of these audiences is connected here now; messages for them must arrive from here on.

        Returns when they do, for those of earlier calls too. What is watched twice is to be unwatched twice.
        """
        ...

    async def unwatch(self, audiences: Sequence[Audience]) -> None: ...

    async def command(self, command: GroupCommand) -> None:
        """Have the process that holds the connection do it; return when it has, or none does."""
        ...

    async def ask(self, call: ClientCall, connection_id: str) -> Answer | None:
        """Have a client of another process answer; None when nobody has it."""
        ...


class Handed(Protocol):
    """A message that is on its way. Need not be awaited."""

    def __await__(self) -> Generator[Any, Any, None]: ...


class Done:
    """There is nothing to wait for."""

    def __await__(self) -> Generator[Any, Any, None]:
        return
        yield


DONE = Done()


class Alone:
    """One process: what is published is delivered at once."""

    def __init__(self) -> None:
        self._house: House | None = None

    async def start(self, house: House) -> None:
        self._house = house

    async def stop(self) -> None:
        self._house = None

    def publish(self, audience: Audience, message: Outgoing) -> Handed:
        if self._house is not None:
            self._house.deliver(audience, message)
        return DONE

    async def watch(self, audiences: Sequence[Audience]) -> None: ...

    async def unwatch(self, audiences: Sequence[Audience]) -> None: ...

    async def command(self, command: GroupCommand) -> None: ...

    async def ask(self, call: ClientCall, connection_id: str) -> Answer | None:
        return None
