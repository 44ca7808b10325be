"""Azure SignalR Service in this process: hubs by name, the door of their clients, and their tokens.

Knows keys and hubs; the REST API is `data_plane`'s. Hubs are made when they are first named by a good token.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from kaiwa.hub.azure.service.hubs import ServedHub
from kaiwa.hub.azure.service.upstream import NO_UPSTREAM, Upstream, closed
from kaiwa.hub.azure.tokens import claims_of, client_claims, client_url, is_for_hub, signed
from kaiwa.hub.doors.exchange import Exchange, Receive, Scope, Send
from kaiwa.hub.doors.origins import cors_headers, preflight_headers
from kaiwa.hub.identity import Asking, Elsewhere, Identity, identity_of
from kaiwa.hub.options import HubOptions

MOST_HUBS: Final = 1000
PATH: Final = "/client/"
Kind = Callable[[str, HubOptions, Upstream], ServedHub]


class TooManyHubs(Exception):
    """More hubs are named than one process keeps."""


@dataclass(frozen=True, slots=True)
class Keys:
    """`primary` signs; the secondary is good too, for when keys are changed."""

    primary: str
    secondary: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        return (self.primary,) if self.secondary is None else (self.primary, self.secondary)

    def __repr__(self) -> str:
        return "Keys(***)"


class LocalService:
    """`kinds`: hubs that are more than commanded ones, by name. An ASGI application at `/client/`."""

    def __init__(
        self,
        keys: Keys,
        options: HubOptions | None = None,
        kinds: Mapping[str, Kind] | None = None,
        upstream: Upstream = NO_UPSTREAM,
    ) -> None:
        self.keys = keys
        self._options = options or HubOptions()
        self._kinds = {name.lower(): kind for name, kind in (kinds or {}).items()}
        self._upstream = upstream
        self._hubs: dict[str, ServedHub] = {}

    def allow(self, origins: tuple[str, ...]) -> None:
        """Let pages of these origins in from now on, and of no others."""
        self._options = replace(self._options, origins=origins)
        for hub in self._hubs.values():
            board = hub.switchboard
            board.options = replace(board.options, origins=origins)

    def hub(self, name: str) -> ServedHub:
        """Return the hub of this name; made when it is first asked for. Raises TooManyHubs."""
        name = name.lower()
        found = self._hubs.get(name)
        if found is None:
            if len(self._hubs) >= MOST_HUBS:
                raise TooManyHubs
            options = replace(self._options, authenticate=_authenticate(self.keys.all, name))
            kind = self._kinds.get(name, ServedHub)
            found = self._hubs[name] = kind(name, options, self._upstream)
        return found

    @property
    def hubs(self) -> Collection[ServedHub]:
        """Those that somebody has asked for."""
        return self._hubs.values()

    def negotiated(
        self,
        endpoint: str,
        hub: str,
        lifetime_s: int,
        user_id: str | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> Elsewhere:
        """Return where a client of this hub goes, and its token for there (rule S-55)."""
        url = client_url(endpoint, hub)
        token = signed(url, self.keys.primary, lifetime_s, client_claims(user_id, claims))
        return Elsewhere(url, token)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve inside; at the end send everybody away with leave to come back."""
        try:
            yield
        finally:
            for hub in list(self._hubs.values()):
                await hub.switchboard.stop()
            await closed(self._upstream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a client. Only a token that names a hub makes one."""
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        name = next((value.lower() for key, value in query if key.lower() == "hub"), "")
        if scope.get("method") == "OPTIONS":  # a browser asks first, without a token
            exchange = Exchange(scope, receive, send)
            exchange.always = cors_headers(exchange, self._options.origins)
            await exchange.answer(204, headers=preflight_headers(exchange))
            return
        if not name:
            await Exchange(scope, receive, send).answer(400, "The query names no hub")
            return
        hub = self._hubs.get(name) or self._fresh(scope, receive, send, name)
        if hub is None:
            await Exchange(scope, receive, send).answer(401)
            return
        await hub(scope, receive, send)

    def _fresh(self, scope: Scope, receive: Receive, send: Send, name: str) -> ServedHub | None:
        exchange = Exchange(dict(scope), receive, send)
        token = exchange.headers.get("authorization", "").partition(" ")[2].strip() or exchange.token
        claims = claims_of(token, self.keys.all)
        if claims is None or not is_for_hub(claims, name):
            return None
        try:
            return self.hub(name)
        except TooManyHubs:
            return None


def _authenticate(keys: Sequence[str], hub: str) -> Callable[[Asking], Identity | None]:
    def checked(asking: Asking) -> Identity | None:
        claims = claims_of(asking.token, keys)
        return identity_of(claims) if claims is not None and is_for_hub(claims, hub) else None

    return checked
