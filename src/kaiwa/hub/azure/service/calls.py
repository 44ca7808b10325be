"""What the REST API can do to a hub, one function a call (rule S-56). Tokens and hubs were checked before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.hub.azure.service.bodies import (
    body_of,
    flag,
    group_named,
    json_in,
    kind_of,
    message_in,
    payload_in,
    whole_number,
)
from kaiwa.hub.azure.service.commands import commands_in, picked
from kaiwa.hub.azure.service.faults import Fault, invalid, no_connection
from kaiwa.hub.azure.service.hubs import ServedHub
from kaiwa.hub.azure.tokens import client_claims, client_url, signed
from kaiwa.hub.backplane import GroupCommand
from kaiwa.hub.connection import Connection
from kaiwa.hub.errors import HubException
from kaiwa.hub.registry import Audience, Kind
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.messages import Completion, StreamItem

INVOKE_S: Final = 30.0
MOST_LISTED: Final = 200
MOST_TTL_S: Final = 10**9
MOST_MINUTES: Final = 365 * 24 * 60


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: the hub it is for, the request, and the address and key that tokens are made with."""

    hub: ServedHub
    name: str
    request: Request
    endpoint: str
    key: str

    def named(self, part: str) -> str:
        return self.request.path_params[part]

    @property
    def excluded(self) -> frozenset[str]:
        return frozenset(self.request.query_params.getlist("excluded"))

    @property
    def reason(self) -> str | None:
        return self.request.query_params.get("reason")

    @property
    def group(self) -> str:
        return group_named(self.named("group"))

    def connection(self) -> Connection:
        connection_id = self.named("connection")
        if not self.hub.has(connection_id):
            raise no_connection(connection_id)
        return self.hub.connection(connection_id)


async def _send(asked: Asked, kind: Kind, name: str = "") -> Response:
    message = await message_in(asked.request)
    asked.hub.deliver(Audience(kind, name, asked.excluded), message)
    return Response(status_code=202)


async def broadcast(asked: Asked) -> Response:
    return await _send(asked, "all")


async def send_to_connection(asked: Asked) -> Response:
    return await _send(asked, "connection", asked.named("connection"))


async def send_to_user(asked: Asked) -> Response:
    return await _send(asked, "user", asked.named("user"))


async def send_to_group(asked: Asked) -> Response:
    return await _send(asked, "group", asked.group)


def _exists(found: Collection[Connection], kind: str) -> Response:
    if not found:
        return Response(status_code=404, headers={"x-ms-error-code": f"Warning.{kind}.NotExisted"})
    return Response(status_code=200)


async def connection_exists(asked: Asked) -> Response:
    return _exists(asked.hub.found(Audience("connection", asked.named("connection"))), "Connection")


async def user_exists(asked: Asked) -> Response:
    return _exists(asked.hub.found(Audience("user", asked.named("user"))), "User")


async def group_exists(asked: Asked) -> Response:
    return _exists(asked.hub.found(Audience("group", asked.group)), "Group")


async def close_connection(asked: Asked) -> Response:
    asked.hub.close(asked.hub.found(Audience("connection", asked.named("connection"))), asked.reason)
    return Response(status_code=200)


async def close_all(asked: Asked) -> Response:
    asked.hub.close(asked.hub.found(Audience("all", "", asked.excluded)), asked.reason)
    return Response(status_code=204)


async def close_group(asked: Asked) -> Response:
    asked.hub.close(asked.hub.found(Audience("group", asked.group, asked.excluded)), asked.reason)
    return Response(status_code=204)


async def close_user(asked: Asked) -> Response:
    asked.hub.close(asked.hub.found(Audience("user", asked.named("user"), asked.excluded)), asked.reason)
    return Response(status_code=204)


async def add_connection(asked: Asked) -> Response:
    group, connection = asked.group, asked.connection()
    await asked.hub.switchboard.change(GroupCommand("add", group, connection.id))
    return Response(status_code=200)


async def remove_connection(asked: Asked) -> Response:
    await asked.hub.switchboard.change(GroupCommand("remove", asked.group, asked.named("connection")))
    return Response(status_code=200)


async def remove_connection_everywhere(asked: Asked) -> Response:
    for connection in asked.hub.found(Audience("connection", asked.named("connection"))):
        for group in list(connection.groups or ()):
            await asked.hub.switchboard.change(GroupCommand("remove", group, connection.id))
    return Response(status_code=200)


async def add_user(asked: Asked) -> Response:
    group, ttl_s = asked.group, whole_number(asked.request, "ttl", 0, MOST_TTL_S)
    try:
        commands = asked.hub.put_user(asked.named("user"), group, ttl_s)
    except HubException as full:
        raise Fault(503, "Error.User.TooMany", str(full)) from None
    await _carry_out(asked.hub, commands)
    return Response(status_code=200)


async def remove_user(asked: Asked) -> Response:
    await _carry_out(asked.hub, asked.hub.drop_user(asked.named("user"), asked.group))
    return Response(status_code=200)


async def remove_user_everywhere(asked: Asked) -> Response:
    await _carry_out(asked.hub, asked.hub.drop_user(asked.named("user"), None))
    return Response(status_code=200)


async def user_in_group(asked: Asked) -> Response:
    if asked.hub.is_member(asked.named("user"), asked.group):
        return Response(status_code=200)
    return Response(status_code=404, headers={"x-ms-error-code": "Info.User.NotInGroup"})


async def _carry_out(hub: ServedHub, commands: list[GroupCommand]) -> None:
    for command in commands:
        await hub.switchboard.change(command)


async def generate_token(asked: Asked) -> Response:
    minutes = whole_number(asked.request, "minutesToExpire", 1, MOST_MINUTES) or 60
    user = asked.request.query_params.get("userId") or None
    url = client_url(asked.endpoint, asked.name)
    return JSONResponse({"token": signed(url, asked.key, minutes * 60, client_claims(user))})


async def execute(asked: Asked) -> Response:
    """Carry out a transaction: every command, for each connection that the filter takes."""
    commands = commands_in(json_in(await body_of(asked.request)))
    connections = picked(asked.hub.found(Audience("all")), asked.request.query_params.get("filter"))
    for connection in connections:
        for command in commands:
            await command(asked.hub, connection)
    return Response(status_code=202)


async def invoke(asked: Asked) -> Response:
    """Return what a client's method returns."""
    payload = payload_in(kind_of(asked.request), await body_of(asked.request))
    connection = asked.connection()
    try:
        one = asked.hub.clients.client(connection.id)
        result = await one.invoke(payload.target, *payload.values, timeout_s=INVOKE_S)
    except HubException as refused:
        raise Fault(400, "Error.Invocation.Failed", str(refused)) from None
    except TimeoutError:
        raise Fault(408, "Error.Invocation.Timeout", "The client did not answer in time.") from None
    return Response(msgspec.json.encode({"result": result}), media_type="application/json")


async def send_item(asked: Asked) -> Response:
    """Send an item of a stream that the client follows."""
    stream_id = _stream(asked)
    completed = flag(asked.request, "completed")
    body = await body_of(asked.request)
    item = json_in(body) if body.strip() else UNSET
    if item is UNSET and not completed:
        raise invalid("A non-empty request body is required.", "item")
    here = Audience("connection", asked.connection().id)
    if item is not UNSET:
        asked.hub.deliver(here, Outgoing(StreamItem(stream_id, item)))
    if completed:
        asked.hub.deliver(here, Outgoing(Completion(stream_id)))
    return Response(status_code=202)


async def complete_stream(asked: Asked) -> Response:
    here = Audience("connection", asked.connection().id)
    asked.hub.deliver(here, Outgoing(Completion(_stream(asked), error=asked.reason)))
    return Response(status_code=202)


def _stream(asked: Asked) -> str:
    name = asked.named("stream")
    if not name.strip() or len(name) > 100:
        raise invalid("A stream's id has 1 to 100 letters and is not blank.", "streamId")
    return name


async def list_group(asked: Asked) -> Response:
    """Return a page of a group's members, in the order of their ids."""
    request = asked.request
    size = whole_number(request, "maxpagesize", 1, MOST_LISTED) or MOST_LISTED
    top = whole_number(request, "top", 1, 10**9)
    after = request.query_params.get("continuationToken", "")
    members = sorted(asked.hub.found(Audience("group", asked.group)), key=lambda one: one.id)
    rest = [one for one in members if one.id > after]
    page = rest[: size if top is None else min(size, top)]
    body: dict[str, Any] = {"value": [_member(one) for one in page]}
    left = None if top is None else top - len(page)
    if len(rest) > len(page) and left != 0:
        query = {**request.query_params, "continuationToken": page[-1].id}
        if left is not None:
            query["top"] = str(left)
        body["nextLink"] = f"{asked.endpoint}{request.url.path}?{urlencode(query)}"
    return JSONResponse(body)


def _member(connection: Connection) -> dict[str, Any]:
    told = {"connectionId": connection.id}
    return told if connection.user_id is None else {**told, "userId": connection.user_id}
