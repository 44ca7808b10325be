"""Who is connected here, in which groups, under which user. Knows no wire and sends nothing.

Names of groups are exact; every list loses a connection when it ends.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec

Kind = Literal["all", "connection", "group", "user"]
_NOBODY: Final[frozenset[str]] = frozenset()


class Audience(msgspec.Struct, frozen=True):
    """Whom a message is for. `name` is that of the connection, group or user."""

    kind: Kind
    name: str = ""
    excluded: frozenset[str] = _NOBODY
    """Ids of connections that do not get it."""


EVERYBODY: Final = Audience("all")


class Member(Protocol):
    """A connection, as far as the lists need to know it."""

    id: str
    groups: set[str] | None
    """The groups it is in; None is none, for the memory's sake."""

    @property
    def user_id(self) -> str | None: ...


M = TypeVar("M", bound=Member)


class Registry(Generic[M]):
    def __init__(self) -> None:
        self.connections: dict[str, M] = {}
        self._groups: dict[str, dict[str, M]] = {}
        self._users: dict[str, dict[str, M]] = {}

    @property
    def groups(self) -> int:
        """How many groups have a member here."""
        return len(self._groups)

    def add(self, member: M) -> list[Audience]:
        """Return the audiences that somebody here belongs to now, and nobody did before."""
        self.connections[member.id] = member
        fresh = [Audience("connection", member.id)]
        if member.user_id is not None:
            fresh += _put(self._users, "user", member.user_id, member)
        return fresh

    def remove(self, member: M) -> list[Audience]:
        """Return the audiences that nobody here belongs to any more."""
        if self.connections.pop(member.id, None) is None:
            return []
        emptied = [Audience("connection", member.id)]
        if member.user_id is not None:
            emptied += _take(self._users, "user", member.user_id, member)
        for group in member.groups or ():
            emptied += _take(self._groups, "group", group, member)
        member.groups = None
        return emptied

    def join(self, member: M, group: str) -> list[Audience]:
        """Idempotent, as leaving is (rule S-48). Somebody who has gone joins nothing."""
        if member.id not in self.connections:
            return []
        if member.groups is None:
            member.groups = set()
        member.groups.add(group)
        return _put(self._groups, "group", group, member)

    def leave(self, member: M, group: str) -> list[Audience]:
        if member.groups is None or group not in member.groups:
            return []
        member.groups.discard(group)
        return _take(self._groups, "group", group, member)

    def members(self, audience: Audience) -> Collection[M]:
        """Return who of an audience is here, by no particular order."""
        found = self._lists(audience)
        if not audience.excluded:
            return found
        return [member for member in found if member.id not in audience.excluded]

    def _lists(self, audience: Audience) -> Collection[M]:
        match audience.kind:
            case "all":
                return self.connections.values()
            case "connection":
                one = self.connections.get(audience.name)
                return () if one is None else (one,)
            case "group":
                return self._groups.get(audience.name, {}).values()
            case "user":
                return self._users.get(audience.name, {}).values()


def _put(lists: dict[str, dict[str, M]], kind: Kind, name: str, member: M) -> list[Audience]:
    members = lists.get(name)
    if members is not None:
        members[member.id] = member
        return []
    lists[name] = {member.id: member}
    return [Audience(kind, name)]


def _take(lists: dict[str, dict[str, M]], kind: Kind, name: str, member: M) -> list[Audience]:
    members = lists[name]
    members.pop(member.id, None)
    if members:
        return []
    del lists[name]
    return [Audience(kind, name)]
