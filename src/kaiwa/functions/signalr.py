"""The SignalR side of Functions: what its bindings need of a service, be it kaiwa's own or Azure's.

Knows hubs and the messages of the bindings; nothing of workers and HTTP. kaiwa's own stands where Azure's has
its clients, at `/client/?hub=NAME`, with tokens of the same form (rules S-53 to S-55).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol
from urllib.parse import quote

from msgspec import UNSET

from kaiwa.errors import KaiwaError, UpstreamError
from kaiwa.functions.manifest import Function
from kaiwa.functions.messages import BindingError, GroupAction, SignalRAction, SignalRMessage
from kaiwa.functions.troubles import SERVICE_AWAY, SERVICE_REFUSED
from kaiwa.hub import Clients, Groups, HubOptions, Target
from kaiwa.hub.azure.connection_string import Endpoint
from kaiwa.hub.azure.publisher import AzureSignalR
from kaiwa.hub.azure.requests import ServiceRequests
from kaiwa.hub.azure.service.hubs import ServedHub
from kaiwa.hub.azure.service.local import Keys, LocalService
from kaiwa.hub.azure.service.upstream import Occasion

CLIENT: Final = "/client"
TOKEN_S: Final = 3600
"""A page keeps its first token for every reconnect, so it lives as long as the Azure service's."""
KINDS: Final = ("signalRConnectionInfo", "signalR", "signalRTrigger")


class SignalRBindings(Protocol):
    """A SignalR service, as the bindings use it."""

    async def connection_info(self, hub: str, user_id: str, base_url: str) -> dict[str, str]:
        """Return `url` and `accessToken` for a client that asked at `base_url`. Raises BindingError."""
        ...

    async def deliver(self, hub: str, actions: Sequence[SignalRAction]) -> None:
        """Carry them out in their order. Raises BindingError."""
        ...


class HubEvent(Protocol):
    """Runs a `signalRTrigger` function with what happened, and returns what it answers."""

    def __call__(self, function: Function, happened: dict[str, Any]) -> Awaitable[Any]: ...


class OwnService:
    """kaiwa's hubs as the service; an ASGI application at `/client`. Triggers are its upstream."""

    def __init__(self, functions: Sequence[Function], run: HubEvent, origins: tuple[str, ...] = ()) -> None:
        keys = Keys(secrets.token_urlsafe(48))
        self._service = LocalService(keys, HubOptions(origins=origins), upstream=_Triggers(functions, run))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with self._service.running():
            yield

    async def connection_info(self, hub: str, user_id: str, base_url: str) -> dict[str, str]:
        there = self._service.negotiated(base_url, hub, TOKEN_S, user_id or None)
        return {"url": there.url, "accessToken": there.access_token or ""}

    async def deliver(self, hub: str, actions: Sequence[SignalRAction]) -> None:
        served = self._service.hub(hub)
        for action in actions:
            if isinstance(action, SignalRMessage):
                await _audience(served.clients, action).send(action.target, *action.arguments)
            elif action.user_id and not action.connection_id:
                await _change_user(served, action)
            elif served.has(action.connection_id):
                joined = served.connection(action.connection_id).groups or ()
                await _change(served.groups, action, tuple(joined))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._service(scope, receive, send)


class AzureService:
    """An Azure SignalR Service, commanded over REST. Works inside `running`, for the hubs named there."""

    def __init__(self, endpoint: Endpoint, hubs: Sequence[str]) -> None:
        self._publishers = {hub.lower(): AzureSignalR(endpoint, hub) for hub in hubs}
        self._requests = ServiceRequests(endpoint)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._requests.close)
            for publisher in self._publishers.values():
                await stack.enter_async_context(publisher.running())
            yield

    async def connection_info(self, hub: str, user_id: str, base_url: str) -> dict[str, str]:
        try:
            there = await self._publishers[hub.lower()].negotiated(TOKEN_S, user_id or None)
        except UpstreamError as refused:
            raise _told(refused) from refused
        return {"url": there.url, "accessToken": there.access_token or ""}

    async def deliver(self, hub: str, actions: Sequence[SignalRAction]) -> None:
        publisher = self._publishers[hub.lower()]
        try:
            for action in actions:
                if isinstance(action, SignalRMessage):
                    await _audience(publisher.clients, action).send(action.target, *action.arguments)
                elif action.action == "removeAll" or not action.connection_id:
                    await self._ask(hub.lower(), action)
                else:
                    await _change(publisher.groups, action, ())
        except UpstreamError as refused:
            raise _told(refused) from refused

    async def _ask(self, hub: str, action: GroupAction) -> None:
        """Do what proxies have no word for: all groups of somebody, and groups of users."""
        kind, name = (
            ("connections", action.connection_id) if action.connection_id else ("users", action.user_id)
        )
        group = "" if action.action == "removeAll" else f"/{quote(action.group, safe='')}"
        method = "PUT" if action.action == "add" else "DELETE"
        path = f"/api/hubs/{hub}/{kind}/{quote(name, safe='')}/groups{group}"
        answered = await self._requests.make(method, path)
        if answered.status >= 400 and answered.status != 404:
            raise BindingError(SERVICE_REFUSED)


def _told(error: UpstreamError) -> BindingError:
    return BindingError(SERVICE_AWAY if error.retryable else SERVICE_REFUSED)


class _Triggers:
    """The functions with a `signalRTrigger`, as what clients talk to."""

    def __init__(self, functions: Sequence[Function], run: HubEvent) -> None:
        self._functions = _by_occasion(functions)
        self._run = run

    def _function(self, occasion: Occasion) -> Function | None:
        return self._functions.get((occasion.hub.lower(), occasion.category.lower(), occasion.event.lower()))

    def takes(self, occasion: Occasion) -> bool:
        return self._function(occasion) is not None

    async def tell(self, occasion: Occasion, body: Mapping[str, Any]) -> None:
        function = self._function(occasion)
        if function is not None:
            await self._run_gently(function, _happened(occasion, (), body.get("error")))

    async def ask(self, occasion: Occasion, target: str, arguments: Sequence[Any]) -> Any:
        function = self._function(occasion)
        assert function is not None, "the hub asks only what is taken"
        answer = await self._run(function, _happened(occasion, arguments))
        return UNSET if answer is None else answer

    async def _run_gently(self, function: Function, happened: dict[str, Any]) -> None:
        """A client need not go because a function failed, which the log has already."""
        try:
            await self._run(function, happened)
        except KaiwaError:
            return


def hubs_of(functions: Sequence[Function], setting: str, default: str) -> list[str]:
    """Return the hubs that bindings reach by a setting's connection string."""
    found: dict[str, str] = {}
    for binding in (each for function in functions for each in function.bindings if each.type in KINDS):
        name = binding.option("hubName")
        if name and binding.option("connectionStringSetting", default) == setting:
            found[name.lower()] = name
    return list(found.values())


def _by_occasion(functions: Sequence[Function]) -> dict[tuple[str, str, str], Function]:
    found: dict[tuple[str, str, str], Function] = {}
    for function in functions:
        trigger = function.trigger
        if trigger is not None and trigger.type == "signalRTrigger":
            parts = (
                trigger.option("hubName"),
                trigger.option("category", "messages"),
                trigger.option("event"),
            )
            hub, category, event = (part.lower() for part in parts)
            found[hub, category, event] = function
    return found


def _happened(occasion: Occasion, arguments: Sequence[Any], error: str | None = None) -> dict[str, Any]:
    return {
        "ConnectionId": occasion.connection_id,
        "UserId": occasion.user_id,
        "Hub": occasion.hub,
        "Category": occasion.category,
        "Event": occasion.event,
        "Arguments": list(arguments),
        "Error": error,
        "Query": dict(occasion.query),
        "Claims": {name: str(value) for name, value in occasion.claims.items()},
    }


def _audience(clients: Clients, message: SignalRMessage) -> Target:
    if message.connection_id:
        return clients.client(message.connection_id)
    if message.user_id:
        return clients.user(message.user_id)
    return clients.group(message.group) if message.group else clients.all


async def _change(groups: Groups, action: GroupAction, joined: Sequence[str]) -> None:
    if action.action == "add":
        await groups.add(action.connection_id, action.group)
        return
    for group in joined if action.action == "removeAll" else (action.group,):
        await groups.remove(action.connection_id, group)


async def _change_user(hub: ServedHub, action: GroupAction) -> None:
    if action.action == "add":
        commands = hub.put_user(action.user_id, action.group, None)
    else:
        commands = hub.drop_user(action.user_id, None if action.action == "removeAll" else action.group)
    for command in commands:
        await hub.switchboard.change(command)
