"""Transactions of the REST API: their commands, and the filter that says for which connections.

Knows the JSON of commands and a part of OData's filters: `userId` and `connectionId` compared by `eq` and
`ne`, `startswith`, `'name' in groups`, and these joined by `and`. Raises Fault for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, cast

from kaiwa.hub.azure.service.bodies import command_payload, group_named, outgoing
from kaiwa.hub.azure.service.faults import invalid
from kaiwa.hub.azure.service.hubs import ServedHub
from kaiwa.hub.backplane import GroupCommand
from kaiwa.hub.connection import Connection
from kaiwa.hub.registry import Audience

MOST_COMMANDS: Final = 1000
Command = Callable[[ServedHub, Connection], Awaitable[None]]
Takes = Callable[[Connection], bool]

_TEXT: Final = r"'((?:[^']|'')*)'"
_COMPARED: Final = re.compile(rf"(userId|connectionId) +(eq|ne) +(?:{_TEXT}|(null))")
_BEGINS: Final = re.compile(rf"startswith\( *(userId|connectionId) *, *{_TEXT} *\)")
_IN: Final = re.compile(rf"{_TEXT} +in +groups")
_AND: Final = re.compile(r" +and +(?=(?:[^']|'[^']*')*$)")


def commands_in(read: Any) -> list[Command]:
    if not isinstance(read, list):
        raise invalid("The body of a transaction is an array of commands.", "commands")
    written = cast(list[Any], read)
    if len(written) > MOST_COMMANDS:
        raise invalid(f"A transaction has at most {MOST_COMMANDS} commands.", "commands")
    return [_command(one) for one in written]


def _command(read: Any) -> Command:
    fields = cast(dict[str, Any], read) if isinstance(read, dict) else {}
    match fields.get("type"):
        case "SendMessage":
            return _send(fields.get("message"))
        case "JoinGroup":
            return _change("add", group_named(fields.get("group")))
        case "LeaveGroup":
            return _change("remove", group_named(fields.get("group")))
        case "CloseConnection":
            return _close(fields.get("reason"))
        case _:
            words = "A command is SendMessage, JoinGroup, LeaveGroup or CloseConnection."
            raise invalid(words, "commands")


def _send(message: Any) -> Command:
    made = outgoing(command_payload(message))

    async def send(hub: ServedHub, connection: Connection) -> None:
        hub.deliver(Audience("connection", connection.id), made)

    return send


def _change(action: Any, group: str) -> Command:
    async def change(hub: ServedHub, connection: Connection) -> None:
        await hub.switchboard.change(GroupCommand(action, group, connection.id))

    return change


def _close(reason: Any) -> Command:
    if reason is not None and not isinstance(reason, str):
        raise invalid("The reason is text.", "commands")

    async def close(hub: ServedHub, connection: Connection) -> None:
        hub.close([connection], reason)

    return close


def picked(connections: Collection[Connection], written: str | None) -> list[Connection]:
    """Return the connections that a filter takes; all without one."""
    tests = [_test(part.strip()) for part in _AND.split(written.strip())] if written else []
    return [one for one in connections if all(takes(one) for takes in tests)]


def _test(written: str) -> Takes:
    if compared := _COMPARED.fullmatch(written):
        field, how, text, _ = compared.groups()
        wanted = None if text is None else text.replace("''", "'")
        return lambda one: (_value(one, field) == wanted) == (how == "eq")
    if begins := _BEGINS.fullmatch(written):
        name, start = begins[1], begins[2].replace("''", "'")
        return lambda one: (_value(one, name) or "").startswith(start)
    if within := _IN.fullmatch(written):
        group = within[1].replace("''", "'")
        return lambda one: group in (one.groups or ())
    words = (
        "Filters compare userId and connectionId by eq, ne and startswith, or ask 'x' in groups; `and` joins."
    )
    raise invalid(words, "filter")


def _value(connection: Connection, field: str) -> str | None:
    return connection.user_id if field == "userId" else connection.id
