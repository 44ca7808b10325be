"""Whom a hub talks to: `clients.group("x").send("token", text)` and its kin. Knows no connection.

Sending does its work when it is called and never waits for a client; what it returns may be awaited, by who
wants to go no faster than a single client reads or than a backplane takes. Order is the order of the calls
either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, overload

import msgspec

from kaiwa.hub.backplane import Answer, GroupCommand, Handed
from kaiwa.hub.errors import HubException
from kaiwa.hub.registry import EVERYBODY, Audience, Kind

T = TypeVar("T")
ANSWER_S = 30.0


class Sender(Protocol):
    """The hub, as far as its proxies need it."""

    def send_to(self, audiences: tuple[Audience, ...], target: str, arguments: tuple[Any, ...]) -> Handed: ...

    async def ask_anywhere(self, connection_id: str, target: str, arguments: tuple[Any, ...]) -> Answer: ...

    async def change(self, command: GroupCommand) -> None: ...


class Target:
    """Some clients."""

    __slots__ = ("_audiences", "_hub")

    def __init__(self, hub: Sender, *audiences: Audience) -> None:
        self._hub = hub
        self._audiences = audiences

    def send(self, target: str, *arguments: Any) -> Handed:
        """Call the handlers of `target` at these clients; nobody there is no error."""
        return self._hub.send_to(self._audiences, target, arguments)


class One(Target):
    """A single client, which may be asked for a result too."""

    __slots__ = ()

    @overload
    async def invoke(
        self, target: str, *arguments: Any, returns: type[T], timeout_s: float = ANSWER_S
    ) -> T: ...

    @overload
    async def invoke(self, target: str, *arguments: Any, timeout_s: float = ANSWER_S) -> Any: ...

    async def invoke(
        self, target: str, *arguments: Any, returns: Any = Any, timeout_s: float = ANSWER_S
    ) -> Any:
        """Return what the client's handler of `target` returns.

        Raises HubException when it fails, has no handler or goes away; TimeoutError when it takes too long.
        """
        async with asyncio.timeout(timeout_s):
            answer = await self._hub.ask_anywhere(self._audiences[0].name, target, arguments)
        if answer.error is not None:
            raise HubException(answer.error)
        try:
            return answer.result if returns is Any else msgspec.convert(answer.result, returns)
        except msgspec.ValidationError as error:
            raise HubException(f"The client's result is of another type: {error}") from error


class Clients:
    """Everybody of a hub, from anywhere in the process."""

    def __init__(self, hub: Sender) -> None:
        self._hub = hub

    @property
    def all(self) -> Target:
        return Target(self._hub, EVERYBODY)

    def all_except(self, *connection_ids: str) -> Target:
        return Target(self._hub, Audience("all", excluded=frozenset(connection_ids)))

    def client(self, connection_id: str) -> One:
        return One(self._hub, Audience("connection", connection_id))

    def clients(self, connection_ids: Iterable[str]) -> Target:
        return Target(self._hub, *_each("connection", connection_ids))

    def group(self, name: str) -> Target:
        return Target(self._hub, Audience("group", name))

    def groups(self, names: Iterable[str]) -> Target:
        return Target(self._hub, *_each("group", names))

    def group_except(self, name: str, *connection_ids: str) -> Target:
        return Target(self._hub, Audience("group", name, frozenset(connection_ids)))

    def user(self, user_id: str) -> Target:
        return Target(self._hub, Audience("user", user_id))

    def users(self, user_ids: Iterable[str]) -> Target:
        return Target(self._hub, *_each("user", user_ids))


class CallerClients(Clients):
    """The same with a caller, from inside a hub method. Elsewhere asking for one raises LookupError."""

    def __init__(self, hub: Sender, caller: Callable[[], str]) -> None:
        super().__init__(hub)
        self._caller = caller

    @property
    def caller(self) -> One:
        return self.client(self._caller())

    @property
    def others(self) -> Target:
        return self.all_except(self._caller())

    def others_in_group(self, name: str) -> Target:
        return self.group_except(name, self._caller())


class Groups:
    """Who is in which group. Unknown connections and groups are no error (rule S-48)."""

    def __init__(self, hub: Sender) -> None:
        self._hub = hub

    async def add(self, connection_id: str, group: str) -> None:
        await self._hub.change(GroupCommand("add", group, connection_id))

    async def remove(self, connection_id: str, group: str) -> None:
        await self._hub.change(GroupCommand("remove", group, connection_id))


def _each(kind: Kind, names: Iterable[str]) -> list[Audience]:
    return [Audience(kind, name) for name in dict.fromkeys(names)]
