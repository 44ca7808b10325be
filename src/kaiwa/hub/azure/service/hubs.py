"""A hub as the service keeps it: without methods of its own, commanded over REST, with an upstream behind it.

Knows connections, users' groups and what an upstream answered; nothing of requests and tokens.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from kaiwa.hub.azure.service.upstream import NO_UPSTREAM, Occasion, Upstream
from kaiwa.hub.backplane import Backplane, GroupCommand
from kaiwa.hub.connection import Connection
from kaiwa.hub.errors import HubException
from kaiwa.hub.hub import Hub
from kaiwa.hub.methods import HubMethod
from kaiwa.hub.options import HubOptions
from kaiwa.hub.registry import Audience
from kaiwa.protocol.signalr.encoding import Outgoing

MOST_USERS: Final = 100_000
_NOBODY_LISTENS: Final = "Nothing takes what clients send: no upstream is set for this hub and event."


@dataclass(frozen=True, kw_only=True)
class _Forwarded(HubMethod):
    """A method that only an upstream has. It gets the client's words as they are."""

    target: str

    def bind(self, values: list[Any], streams: list[AsyncIterator[Any]]) -> list[Any]:
        return [self.target, values]


def _forwarded(target: str) -> HubMethod:
    return _Forwarded(
        name=target,
        attribute="_ask_upstream",
        arguments=(),
        required=0,
        uploads=(),
        streams=False,
        void=False,
        target=target,
    )


class ServedHub(Hub):
    """One hub of the service."""

    def __init__(
        self,
        name: str,
        options: HubOptions,
        upstream: Upstream = NO_UPSTREAM,
        backplane: Backplane | None = None,
    ) -> None:
        super().__init__(options, backplane)
        self._name = name
        self._upstream = upstream
        self._users: dict[str, dict[str, float | None]] = {}
        self.switchboard.label = name
        self.switchboard.otherwise = _forwarded

    async def on_connected(self) -> None:
        context = self.context
        if context.user_id is not None:
            for group in self._groups_of(context.user_id):
                await self.groups.add(context.connection_id, group)
        await self._upstream.tell(self._occasion("connections", "connected"), {"type": 10})

    async def on_disconnected(self, error: HubException | None) -> None:
        body = {"type": 11} if error is None else {"type": 11, "error": str(error)}
        await self._upstream.tell(self._occasion("connections", "disconnected"), body)

    async def _ask_upstream(self, target: str, arguments: list[Any]) -> Any:
        """Let the upstream answer a client. Raises HubException with its refusal."""
        occasion = self._occasion("messages", target)
        if not self._upstream.takes(occasion):
            # The service drops a client that speaks where nobody listens.
            self.connection(self.context.connection_id).close(_NOBODY_LISTENS)
            raise HubException(_NOBODY_LISTENS)
        return await self._upstream.ask(occasion, target, arguments)

    def _occasion(self, category: str, event: str) -> Occasion:
        context = self.context
        return Occasion(
            hub=self._name,
            category=category,
            event=event,
            connection_id=context.connection_id,
            user_id=context.user_id,
            claims=context.claims,
            query=context.request.query,
        )

    # What the REST API asks. Names begin with an underscore or are no coroutines, or clients could call them.

    def found(self, audience: Audience) -> Collection[Connection]:
        return list(self.switchboard.registry.members(audience))

    def connection(self, connection_id: str) -> Connection:
        """Raises KeyError when it is not here."""
        return self.switchboard.registry.connections[connection_id]

    def has(self, connection_id: str) -> bool:
        return connection_id in self.switchboard.registry.connections

    def deliver(self, audience: Audience, message: Outgoing) -> None:
        self.switchboard.deliver(audience, message)

    def close(self, connections: Iterable[Connection], reason: str | None) -> None:
        for connection in list(connections):
            connection.close(reason or None)

    def is_member(self, user_id: str, group: str) -> bool:
        return group in self._groups_of(user_id)

    def put_user(self, user_id: str, group: str, ttl_s: int | None) -> list[GroupCommand]:
        """Remember a user's group for who comes later; return what to do for who is here.

        Raises HubException when more users are remembered than may be.
        """
        if user_id not in self._users and len(self._users) >= MOST_USERS:
            raise HubException(f"More than {MOST_USERS} users are in groups.")
        self._users.setdefault(user_id, {})[group] = None if ttl_s is None else time.time() + ttl_s
        return self._for_each("add", user_id, group)

    def drop_user(self, user_id: str, group: str | None) -> list[GroupCommand]:
        """Forget one group of a user, or all; return what to do for who is here."""
        kept = self._users.get(user_id, {})
        names = [group] if group is not None else list(kept)
        for name in names:
            kept.pop(name, None)
        if not kept:
            self._users.pop(user_id, None)
        return [command for name in names for command in self._for_each("remove", user_id, name)]

    def _for_each(self, action: Any, user_id: str, group: str) -> list[GroupCommand]:
        return [GroupCommand(action, group, one.id) for one in self.found(Audience("user", user_id))]

    def _groups_of(self, user_id: str) -> list[str]:
        now, kept = time.time(), self._users.get(user_id, {})
        for name in [name for name, ends in kept.items() if ends is not None and ends <= now]:
            del kept[name]
        return list(kept)
