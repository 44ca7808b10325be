"""A hub among the routes of a Starlette or FastAPI application. The only file here that knows Starlette.

Starlette's `Mount("/chat")` does not match `/chat` itself for WebSockets, where clients connect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

App = Callable[[Any, Any, Any], Awaitable[None]]


class HubRoute(BaseRoute):
    """Takes `path`, `path/`, `path/negotiate` and `path/refresh`."""

    def __init__(self, path: str, hub: App) -> None:
        self.path = path.rstrip("/")
        self.app = hub
        self._paths = {self.path, f"{self.path}/", f"{self.path}/negotiate", f"{self.path}/refresh"}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        path: str = scope["path"]
        mounted_at: str = scope.get("root_path", "")
        inner = path.removeprefix(mounted_at) if path.startswith(f"{mounted_at}/") else path
        return (Match.FULL, {}) if inner in self._paths else (Match.NONE, {})

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
