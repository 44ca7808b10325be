"""What the runner needs of each neighbour. Protocols only; whoever fits them may be plugged in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from kaiwa.events.actions import Action
from kaiwa.events.budget import BudgetEvent, Charge
from kaiwa.events.client import ClientEvent
from kaiwa.events.engine import EngineCommand, EngineEvent
from kaiwa.events.server import ServerEvent
from kaiwa.events.tools import ToolCall, ToolEvent, ToolListing, ToolsListed, ToolSpec

# The message of the cancellation that stops a call. Without it nobody waits for the call any more.
STOPPED: Final = "stopped"


class Session(Protocol):
    """A pure state machine: feed one event, then drain the actions.

    `now` is monotonic time in seconds. Never raises on what a peer, engine or tool sent.
    """

    def receive(self, event: ClientEvent | EngineEvent | ToolEvent | BudgetEvent, now: float) -> None: ...

    def next_timer(self) -> float | None:
        """Return the `now` at which `handle_timer` wants to be called, or None."""
        ...

    def handle_timer(self, now: float) -> None: ...

    def actions(self) -> list[Action]:
        """Return and forget what has to be done, in order."""
        ...


class Transport(Protocol):
    """One connected peer."""

    def receive(self) -> AsyncIterator[ClientEvent]:
        """Yield the peer's events in order; end when the peer is gone."""
        ...

    async def send(self, event: ServerEvent) -> None:
        """Write one event. Waits while the peer reads slowly; raises ConnectionError when it is gone."""
        ...

    async def close(self, code: int, reason: str) -> None: ...


class Engine(Protocol):
    """Who answers, for one conversation."""

    def ask(self, command: EngineCommand) -> None:
        """Take a command. Returns at once; raises nothing."""
        ...

    def events(self) -> AsyncIterator[EngineEvent]:
        """Yield the engine's events in order until `close`."""
        ...

    async def close(self) -> None:
        """Free what this conversation holds. Idempotent."""
        ...


class Spending(Protocol):
    """Who counts what one conversation uses, and tells it what follows."""

    tell: Callable[[BudgetEvent], None]
    """Set by who runs the conversation. Called at any time in its loop."""

    def charge(self, charge: Charge) -> None:
        """Returns at once; raises nothing."""
        ...


class ToolBox(Protocol):
    """Who acts. One call is one `run`.

    Cancelling its task with `STOPPED` stops the call; otherwise the conversation is over.
    """

    @property
    def specs(self) -> Sequence[ToolSpec]: ...

    async def run(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> None:
        """Carry out the call; report any progress and exactly one ToolSettled. Raises nothing."""
        ...


class ToolServers(Protocol):
    """Who lists and runs the tools that are elsewhere: the MCP servers of one conversation."""

    async def serve(self, listing: ToolListing, report: Callable[[ToolsListed], Awaitable[None]]) -> None:
        """Connect, report what the server offers, now and whenever it changes; cancelling ends it.

        Raises nothing.
        """
        ...

    async def run(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> None:
        """Carry out a call of a listing's tool, as `ToolBox.run` does."""
        ...
