"""All connections of one hub in this process: their lists, tasks, clock, and what is sent to many at once.

Knows connections and the backplane; nothing of HTTP. Everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import UNSET

from kaiwa.hub.backplane import DONE, Answer, Backplane, ClientCall, GroupCommand, Handed
from kaiwa.hub.connection import Connection
from kaiwa.hub.counts import Counts
from kaiwa.hub.errors import HubException
from kaiwa.hub.gathering import Gathering
from kaiwa.hub.identity import Asking, Identity
from kaiwa.hub.methods import HubMethod, key_of, methods_of
from kaiwa.hub.options import HubOptions
from kaiwa.hub.registry import Audience, Registry
from kaiwa.hub.wheel import Wheel
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import Invocation
from kaiwa.protocol.signalr.messages import Protocol as ProtocolName

if TYPE_CHECKING:
    from kaiwa.hub.hub import Hub

T = TypeVar("T")
FAREWELL_S: Final = 5.0

log = logging.getLogger(__name__)


class Switchboard:
    def __init__(self, hub: Hub, base: type, options: HubOptions, backplane: Backplane) -> None:
        self.hub = hub
        self.label = type(hub).__name__
        """What the hub is called where somebody looks at it."""
        self.options = options
        self.methods = methods_of(type(hub), base)
        self.otherwise: Callable[[str], HubMethod | None] = _nothing_else
        self.limits = _limits(options)
        self.registry: Registry[Connection] = Registry()
        self.wheel = Wheel()
        self.counts = Counts()
        self._backplane = backplane
        self._tokens: dict[str, Connection] = {}
        self.gathering = Gathering(options.max_waiting_bytes)
        self._calls = count(1)
        self._name = secrets.token_hex(8)
        self._tasks: asyncio.TaskGroup | None = None
        self._started = asyncio.Event()
        self._closing = asyncio.Event()
        self._living: asyncio.Task[None] | None = None

    def method(self, target: str) -> HubMethod | None:
        """Return what clients call by this name."""
        return self.methods.get(key_of(target)) or self.otherwise(target)

    # Life.

    async def start(self) -> None:
        """Begin to serve; done once, whoever asks first. Raises what the backplane does."""
        if self._started.is_set():
            return
        living = self._living
        if living is None:
            self._closing.clear()
            living = self._living = asyncio.create_task(self._live())
        started = asyncio.create_task(self._started.wait())
        await asyncio.wait([living, started], return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            started.cancel()
            self._living = None
            living.result()

    async def _live(self) -> None:
        await self._backplane.start(self)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._started.set()
            await self._closing.wait()

    async def stop(self) -> None:
        """Send everybody away, with leave to come back, and wait until the hub was told."""
        living, self._living = self._living, None
        if living is None:
            return
        for connection in list(self._tokens.values()):
            connection.close(allow_reconnect=True)
        self.gathering.write()
        self._closing.set()
        await asyncio.wait([living], timeout=FAREWELL_S)
        if not living.done():
            living.cancel()
            await asyncio.wait([living])
        self._tasks = None
        self._started.clear()
        self.wheel.stop()
        await self._backplane.stop()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T | None]:
        """Run something for one client. If it breaks, the other clients notice nothing."""
        assert self._tasks is not None, "a hub serves after `start`"
        return self._tasks.create_task(_apart(work))

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_time(self) -> float:
        return time.time()

    # Who is here.

    def open(self, asking: Asking, identity: Identity, stateful: bool = False) -> Connection:
        """Make a connection for a client that is to come with its token within the disconnect time."""
        name, token = (f"{self.options.prefix}{secrets.token_urlsafe(16)}" for _ in range(2))
        made = Connection(self, name, token, asking, identity, stateful)
        self._tokens[made.token] = made
        made.keep_until(self.now() + self.options.disconnect_s)
        return made

    def rename(self, connection: Connection, token: str) -> None:
        """Let a connection be found by another token."""
        del self._tokens[connection.token]
        connection.token = token
        self._tokens[token] = connection

    def found(self, token: str) -> Connection | None:
        return self._tokens.get(token)

    def forget(self, connection: Connection) -> None:
        self._tokens.pop(connection.token, None)
        self.wheel.forget(connection)

    @property
    def waiting(self) -> int:
        """How many negotiated and have not come yet, or linger."""
        return len(self._tokens) - len(self.registry.connections)

    async def admit(self, connection: Connection) -> None:
        self.counts.came += 1
        await self._backplane.watch(self.registry.add(connection))

    async def dismiss(self, connection: Connection) -> None:
        await self._backplane.unwatch(self.registry.remove(connection))

    # Sending.

    def deliver(self, audience: Audience, message: Outgoing) -> None:
        """Give each its frame now, or put it on its machine when something is before it or must be kept."""
        now, members = self.now(), self.registry.members(audience)
        self.counts.sent += len(members)
        if self.gathering.holds:
            self.gathering.put(message, members, now)
            return
        frames: dict[ProtocolName, bytes] = {}
        for connection in members:  # as `Connection.send`, for many
            straight = connection.straight
            if straight is not None and not connection.dirty:
                frame = frames.get(connection.protocol)
                if frame is None:
                    frame = frames[connection.protocol] = message.encoded(connection.protocol).frame
                straight(frame)
                connection.spoke = now
            else:
                connection.send(message, now)

    def send_to(self, audiences: tuple[Audience, ...], target: str, arguments: tuple[Any, ...]) -> Handed:
        message = Outgoing(Invocation(target, list(arguments)))
        handed = [self._send(audience, message) for audience in audiences]
        return handed[0] if len(handed) == 1 else _All(handed)

    def _send(self, audience: Audience, message: Outgoing) -> Handed:
        if audience.kind == "connection":
            here = self.registry.connections.get(audience.name)
            if here is not None:
                self.counts.sent += 1
                here.send(message, self.now())
                return _Writable(here)
        return self._backplane.publish(audience, message)

    async def ask(self, call: ClientCall, connection_id: str) -> Answer | None:
        """Have a client here answer; None when it is not here."""
        here = self.registry.connections.get(connection_id)
        if here is None:
            return None
        answer = here.ask(call.invocation_id, call.target, call.arguments)
        try:
            said = await answer
        finally:
            here.calls.asked.pop(call.invocation_id, None)
        return Answer(None if said.result is UNSET else said.result, said.error)

    async def ask_anywhere(self, connection_id: str, target: str, arguments: tuple[Any, ...]) -> Answer:
        call = ClientCall(f"{self._name}-{next(self._calls)}", target, list(arguments))
        answer = await self.ask(call, connection_id)
        if answer is None:
            answer = await self._backplane.ask(call, connection_id)
        if answer is None:
            raise HubException(f"Connection '{connection_id}' does not exist.")
        return answer

    async def change(self, command: GroupCommand) -> None:
        if not await self.change_group(command):
            await self._backplane.command(command)

    async def change_group(self, command: GroupCommand) -> bool:
        """Return whether the connection is here."""
        here = self.registry.connections.get(command.connection_id)
        if here is None:
            return False
        if command.action == "add":
            await self._backplane.watch(self.registry.join(here, command.group))
        else:
            await self._backplane.unwatch(self.registry.leave(here, command.group))
        return True


class _Writable:
    """Awaited, it waits until a single client takes what it is sent."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __await__(self) -> Generator[Any, Any, None]:
        return self._connection.writable().__await__()


class _All:
    __slots__ = ("_handed",)

    def __init__(self, handed: list[Handed]) -> None:
        self._handed = handed

    def __await__(self) -> Generator[Any, Any, None]:
        for handed in self._handed:
            if handed is not DONE:
                yield from handed.__await__()


def _nothing_else(target: str) -> HubMethod | None:
    """A hub has the methods of its class, unless it says more."""
    return None


def _limits(options: HubOptions) -> Limits:
    return Limits(
        handshake_timeout_s=options.handshake_s,
        keep_alive_s=options.keep_alive_s,
        client_timeout_s=options.client_timeout_s,
        resume_window_s=options.disconnect_s,
        max_message_bytes=options.max_message_bytes,
        parallel_invocations=options.parallel_invocations,
        upload_items=options.upload_items,
        resume_buffer_bytes=options.stateful_buffer_bytes,
        kept_bytes=options.max_waiting_bytes,
        detailed_errors=options.detailed_errors,
    )


async def _apart(work: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await work
    except Exception:  # the edge of one client: the group around it is everybody's
        log.exception("something for one client of a hub failed")
        return None
