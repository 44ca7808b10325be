"""One HTTP request over ASGI: what it asks, its body, and the answer. Knows no hub."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

TOKEN: Final = "access_token"
PLAIN: Final = b"text/plain; charset=utf-8"
UNCACHED: Final[Headers] = (
    (b"cache-control", b"no-cache, no-store"),
    (b"pragma", b"no-cache"),
    (b"expires", b"Thu, 01 Jan 1970 00:00:00 GMT"),
)


class ClientGone(Exception):
    """The client went away in the middle of its request."""


class HeaderView(Mapping[str, str]):
    """A request's headers by lower-case name, read from what the server keeps anyway: an idle connection's
    memory would else hold them twice."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = tuple(raw)

    def __getitem__(self, name: str) -> str:
        wanted = name.encode("latin-1", "replace")
        for key, value in reversed(self._raw):
            if key == wanted or key.lower() == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.decode("latin-1").lower() for key, _ in self._raw))

    def __len__(self) -> int:
        return len(set(self))


class Exchange:
    """A request and its answer. A WebSocket's upgrade is one too, until it is accepted."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        self.headers = HeaderView(scope["headers"])
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        self.query = {name.lower(): value for name, value in reversed(pairs)}
        self.token = self.query.pop(TOKEN, None)
        if self.token is not None:
            # Servers log the query of what they served, and no token may get there (rule S-50).
            kept = [(name, value) for name, value in pairs if name.lower() != TOKEN]
            scope["query_string"] = urlencode(kept).encode()
        self.always: Headers = ()
        """Headers that every answer bears, such as those of CORS."""

    @property
    def is_socket(self) -> bool:
        return self.scope["type"] == "websocket"

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises ClientGone when it is cut."""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    async def gone(self) -> None:
        """Wait until the client has gone, or has the whole answer."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def answer(
        self, status: int, body: bytes | str = b"", kind: bytes = PLAIN, headers: Headers = ()
    ) -> None:
        """Send a whole answer. On an upgrade, refuse it with this status where the server can."""
        content = body.encode() if isinstance(body, str) else body
        if self.is_socket and "websocket.http.response" not in (self.scope.get("extensions") or {}):
            await self.send({"type": "websocket.close", "code": 1008})
            return
        await self.start(status, kind, ((b"content-length", str(len(content)).encode()), *headers))
        await self.send({"type": self._kind("body"), "body": content})

    async def start(self, status: int, kind: bytes, headers: Headers = ()) -> None:
        described = [(b"content-type", kind)] if status != 204 else []
        await self.send(
            {
                "type": self._kind("start"),
                "status": status,
                "headers": [*described, *headers, *self.always],
            }
        )

    async def write(self, body: bytes, more: bool = True) -> None:
        await self.send({"type": self._kind("body"), "body": body, "more_body": more})

    def _kind(self, part: str) -> str:
        return f"websocket.http.response.{part}" if self.is_socket else f"http.response.{part}"
