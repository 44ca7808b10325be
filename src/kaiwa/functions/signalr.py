"""The SignalR side of Functions: what its bindings need, and kaiwa's own hub as the service behind them.

Knows hubs, tokens and the messages of the bindings; nothing of workers. The hub stands where the Azure
service has it, at `/client/?hub=NAME`, with tokens of the same form (rules S-53 to S-55).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, cast
from urllib.parse import parse_qsl

import jwt

from kaiwa.functions.manifest import Function
from kaiwa.functions.members import Members
from kaiwa.functions.messages import SignalRAction, SignalRMessage
from kaiwa.hub import Asking, Hub, HubException, HubOptions, Identity, Target, hub_name, identity_of

CLIENT: Final = "/client"
TOKEN_S: Final = 3600
"""A page keeps its first token for every reconnect, so it lives as long as the Azure service's."""
_ABSENT: Final = object()


class SignalRBindings(Protocol):
    """A SignalR service, as the bindings use it."""

    def connection_info(self, hub: str, user_id: str, base_url: str) -> dict[str, str]:
        """Return `url` and `accessToken` for a client that asked at `base_url`."""
        ...

    async def deliver(self, hub: str, actions: Sequence[SignalRAction]) -> None:
        """Carry them out in their order. Raises BindingError."""
        ...


class HubEvent(Protocol):
    """Runs a `signalRTrigger` function with what happened, and returns what it answers."""

    def __call__(self, function: Function, happened: dict[str, Any]) -> Awaitable[Any]: ...


class FunctionsHub(Hub):
    """One hub of an app. Its methods are the events that a `signalRTrigger` names."""

    def __init__(
        self,
        name: str,
        options: HubOptions,
        triggers: Mapping[str, Function],
        run: HubEvent,
        members: Members,
    ) -> None:
        super().__init__(options)
        self._name = name
        self._triggers = triggers
        self._run = run
        self._members = members

    async def on_connected(self) -> None:
        context = self.context
        await self._members.came(context.connection_id, context.user_id, self.groups)
        await self.happen("connections", "connected")

    async def on_disconnected(self, error: HubException | None) -> None:
        context = self.context
        self._members.left(context.connection_id, context.user_id)
        await self.happen("connections", "disconnected", error=None if error is None else str(error))

    def happen(
        self, category: str, event: str, arguments: Sequence[Any] = (), error: str | None = None
    ) -> Awaitable[Any]:
        """Run the function that waits for this. Not asynchronous itself, or clients could call it."""
        context = self.context
        happened = {
            "ConnectionId": context.connection_id,
            "UserId": context.user_id,
            "Hub": self._name,
            "Category": category,
            "Event": event,
            "Arguments": list(arguments),
            "Error": error,
            "Query": dict(context.request.query),
            "Claims": {name: str(value) for name, value in context.claims.items()},
        }
        function = self._triggers.get(f"{category}/{event}".lower())
        return _nothing() if function is None else self._run(function, happened)


async def _nothing() -> None: ...


class OwnHubs:
    """kaiwa's hubs, one for each name that the app's bindings use; an ASGI application at `/client`."""

    def __init__(
        self, functions: Sequence[Function], run: HubEvent, key: str, origins: tuple[str, ...] = ()
    ) -> None:
        self._key = key
        self._stack = AsyncExitStack()
        options = HubOptions(origins=origins, authenticate=self._authenticate)
        self._members: dict[str, Members] = {}
        self._hubs: dict[str, FunctionsHub] = {}
        for name in hub_names(functions):
            members = self._members[name.lower()] = Members()
            kind = _kind_of_hub(name, triggers := _triggers(functions, name))
            self._hubs[name.lower()] = kind(name, options, triggers, run, members)

    async def __aenter__(self) -> OwnHubs:
        for hub in self._hubs.values():
            await self._stack.enter_async_context(hub.running())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def connection_info(self, hub: str, user_id: str, base_url: str) -> dict[str, str]:
        url = f"{base_url}{CLIENT}/?hub={hub.lower()}"
        now = int(time.time())
        claims: dict[str, Any] = {"aud": url, "iat": now, "nbf": now - 30, "exp": now + TOKEN_S}
        if user_id:
            claims["asrs.s.uid"] = user_id
        return {"url": url, "accessToken": jwt.encode(claims, self._key, algorithm="HS256")}

    async def deliver(self, hub: str, actions: Sequence[SignalRAction]) -> None:
        served = self._hubs[hub.lower()]
        for action in actions:
            if isinstance(action, SignalRMessage):
                await _audience(served, action).send(action.target, *action.arguments)
            else:
                await self._members[hub.lower()].change(action, served.groups)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        hub = self._hubs.get(_hub_asked(scope))
        if hub is not None:
            await hub(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"There is no such hub"})

    def _authenticate(self, asking: Asking) -> Identity | None:
        hub = asking.query.get("hub", "").lower()
        try:
            claims = jwt.decode(
                asking.token or "",
                self._key,
                algorithms=["HS256"],
                options={"require": ["exp", "aud"], "verify_aud": False},
            )
        except jwt.PyJWTError:
            return None
        meant = str(claims["aud"])
        return identity_of(claims) if meant.lower().endswith(f"{CLIENT}/?hub={hub}") else None


def _hub_asked(scope: Any) -> str:
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
    return next((value.lower() for name, value in query if name.lower() == "hub"), "")


def hub_names(functions: Sequence[Function]) -> list[str]:
    kinds = ("signalRConnectionInfo", "signalR", "signalRTrigger")
    found = [each.option("hubName") for one in functions for each in one.bindings if each.type in kinds]
    return list({name.lower(): name for name in found if name}.values())


def _triggers(functions: Sequence[Function], hub: str) -> dict[str, Function]:
    found: dict[str, Function] = {}
    for function in functions:
        trigger = function.trigger
        if trigger is None or trigger.type != "signalRTrigger":
            continue
        if trigger.option("hubName").lower() == hub.lower():
            event = f"{trigger.option('category', 'messages')}/{trigger.option('event')}"
            found[event.lower()] = function
    return found


def _kind_of_hub(name: str, triggers: Mapping[str, Function]) -> type[FunctionsHub]:
    """Return a class of hub whose methods are made of the triggers: the events are known only now."""
    methods: dict[str, Any] = {}
    for key, function in triggers.items():
        if key.startswith("messages/"):
            assert function.trigger is not None, "it is a trigger's"
            methods[f"event{len(methods)}"] = _method(function.trigger.option("event"))
    return cast(type[FunctionsHub], type(f"HubOf{name}", (FunctionsHub,), methods))


def _method(event: str) -> Any:
    """Return a hub method for any number of arguments up to ten; the function gets them as an array."""

    @hub_name(event)
    async def happened(
        self: FunctionsHub,
        a: Any = _ABSENT,
        b: Any = _ABSENT,
        c: Any = _ABSENT,
        d: Any = _ABSENT,
        e: Any = _ABSENT,
        f: Any = _ABSENT,
        g: Any = _ABSENT,
        h: Any = _ABSENT,
        i: Any = _ABSENT,
        j: Any = _ABSENT,
    ) -> Any:
        given = [each for each in (a, b, c, d, e, f, g, h, i, j) if each is not _ABSENT]
        return await self.happen("messages", event, given)

    return happened


def _audience(hub: FunctionsHub, message: SignalRMessage) -> Target:
    clients = hub.clients
    if message.connection_id:
        return clients.client(message.connection_id)
    if message.user_id:
        return clients.user(message.user_id)
    return clients.group(message.group) if message.group else clients.all
