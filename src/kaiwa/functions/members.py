"""Who is in which group of a Functions app's hub, also by user: a user's groups outlive the connections.

Knows names only; the hub's own lists are told through `Groups`. What a connection joined by other ways is not
known here, and `removeAll` does not undo it.
"""

from __future__ import annotations

from typing import Final

from kaiwa.functions.messages import GroupAction
from kaiwa.hub import Groups

MOST_AWAY: Final = 10_000
"""Users whose groups are remembered; past it, the one that joined something longest ago is forgotten."""


class Members:
    def __init__(self) -> None:
        self._connections: dict[str, set[str]] = {}
        """Of each user that is here."""
        self._groups: dict[str, set[str]] = {}
        """Of each connection that is here."""
        self._lasting: dict[str, set[str]] = {}
        """Of each user, here or away."""

    async def came(self, connection_id: str, user_id: str | None, groups: Groups) -> None:
        self._groups[connection_id] = set()
        if user_id is None:
            return
        self._connections.setdefault(user_id, set()).add(connection_id)
        for group in self._lasting.get(user_id, ()):
            await self._join(connection_id, group, groups)

    def left(self, connection_id: str, user_id: str | None) -> None:
        self._groups.pop(connection_id, None)
        mine = self._connections.get(user_id or "")
        if mine is not None:
            mine.discard(connection_id)
            if not mine:
                del self._connections[user_id or ""]

    async def change(self, action: GroupAction, groups: Groups) -> None:
        """Do what a group action says; whom nobody knows is no error."""
        if action.connection_id:
            await self._change(action.connection_id, action, groups)
            return
        self._remember(action)
        for connection_id in tuple(self._connections.get(action.user_id, ())):
            await self._change(connection_id, action, groups)

    def _remember(self, action: GroupAction) -> None:
        lasting = self._lasting.pop(action.user_id, set())
        if action.action == "add":
            lasting.add(action.group)
        elif action.action == "remove":
            lasting.discard(action.group)
        else:
            lasting.clear()
        if lasting:
            self._lasting[action.user_id] = lasting
        if len(self._lasting) > MOST_AWAY:
            del self._lasting[next(iter(self._lasting))]

    async def _change(self, connection_id: str, action: GroupAction, groups: Groups) -> None:
        if action.action == "add":
            await self._join(connection_id, action.group, groups)
            return
        joined = self._groups.get(connection_id, set())
        for group in tuple(joined) if action.action == "removeAll" else (action.group,):
            joined.discard(group)
            await groups.remove(connection_id, group)

    async def _join(self, connection_id: str, group: str, groups: Groups) -> None:
        if connection_id in self._groups:
            self._groups[connection_id].add(group)
            await groups.add(connection_id, group)
