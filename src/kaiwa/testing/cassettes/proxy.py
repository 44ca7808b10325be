"""Stands between a client and a service, passes everything on as it is, and lets a recorder see it.

Knows WebSockets and HTTP and which headers are whose, not what is said. Keys go to the service only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.protocol.cassette.redaction import without_credentials
from kaiwa.protocol.cassette.tape import Ended, Opened
from kaiwa.protocol.realtime.dialects import dialect_of
from kaiwa.testing.cassettes.recorder import Recorder, Reel
from kaiwa.testing.service.sockets import listening, wire_of

KEY_PROTOCOL: Final = "openai-insecure-api-key."
ABNORMAL: Final = 1006
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "api-key"})
_NOT_PASSED: Final = frozenset(
    {
        "host", "connection", "upgrade", "content-length", "transfer-encoding", "accept-encoding",
        "keep-alive", "cookie", "te", "trailer", "proxy-authorization", "proxy-connection", "origin",
    }
)  # fmt: skip
_NOT_RETURNED: Final = frozenset(
    {"connection", "content-length", "transfer-encoding", "keep-alive", "date", "server"}
)
_OWN_CREDENTIALS: Final = frozenset({"api-key", "authorization"})
_MAX_REASON: Final = 120


@dataclass(frozen=True)
class Upstream:
    """The service that is recorded. `key` None: clients bring their own credentials, which are passed on."""

    url: str
    key: str | None = field(default=None, repr=False)

    def target(self, path: str, query: str) -> str:
        """Return the address of a request there."""
        pairs = parse_qsl(query, keep_blank_values=True)
        if self.key is not None:
            pairs = [pair for pair in pairs if pair[0].lower() not in _OWN_CREDENTIALS]
        base = self.url.rstrip("/").removesuffix("/v1").removesuffix("/openai")
        return f"{base}{path}" + (f"?{urlencode(pairs)}" if pairs else "")

    def headers(self, connection: HTTPConnection) -> dict[str, str]:
        """Return what the service gets to see of a client's headers, with our key where we have one."""
        passed = {
            name: value
            for name, value in connection.headers.items()
            if name not in _NOT_PASSED and not name.startswith("sec-websocket")
        }
        if self.key is None:
            return passed
        passed = {name: value for name, value in passed.items() if name not in _CREDENTIAL_HEADERS}
        # Azure's own paths take the key in a header of its own; a bearer there is a token of Entra ID.
        azure = connection.url.path.startswith("/openai/")
        return passed | ({"api-key": self.key} if azure else {"Authorization": f"Bearer {self.key}"})

    def subprotocols(self, offered: Iterable[str]) -> list[str]:
        return [name for name in offered if self.key is None or not name.startswith(KEY_PROTOCOL)]


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs. `url` is what a client takes for its service's."""

    url: str
    ended: asyncio.Event
    """Set whenever an exchange is over; whoever waits clears it."""
    open: set[int]


@asynccontextmanager
async def recording_proxy(
    upstream: Upstream, recorder: Recorder, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[Proxy]:
    """Serve until the block is left. Raises OSError when the port is taken."""
    ended, running = asyncio.Event(), set[int]()
    timeout = aiohttp.ClientTimeout(total=None, connect=30)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False) as http:
        house = _House(upstream, recorder, http, ended, running)
        routes = [WebSocketRoute("/{path:path}", house.conversation)]
        app = Starlette(routes=[*routes, Route("/{path:path}", house.request, methods=_METHODS)])
        async with listening(app, host=host, port=port) as used_port:
            yield Proxy(f"http://{host}:{used_port}", ended, running)


class _House:
    def __init__(
        self,
        upstream: Upstream,
        recorder: Recorder,
        http: aiohttp.ClientSession,
        ended: asyncio.Event,
        running: set[int],
    ) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._http = http
        self._ended = ended
        self._running = running

    # --- WebSockets ----------------------------------------------------------------------------

    async def conversation(self, socket: WebSocket) -> None:
        if _is_foreign(socket):
            await socket.send_denial_response(_foreign())
            return
        offered: list[str] = list(socket.scope.get("subprotocols", []))
        query = socket.url.query
        reel = self._recorder.open(
            Opened(
                at=0,
                door="websocket",
                target=without_credentials(socket.url.path, query),
                dialect=dialect_of(socket.url.path, socket.query_params, socket.headers, offered),
                subprotocols=tuple(name for name in offered if not name.startswith(KEY_PROTOCOL)),
            )
        )
        self._running.add(reel.on)
        try:
            await self._converse(socket, reel, self._upstream.target(socket.url.path, query), offered)
        finally:
            self._over(reel)

    async def _converse(self, socket: WebSocket, reel: Reel, target: str, offered: list[str]) -> None:
        try:
            service = await self._http.ws_connect(
                target,
                headers=self._upstream.headers(socket),
                protocols=self._upstream.subprotocols(offered),
                max_msg_size=0,
                compress=0,
            )
        except aiohttp.WSServerHandshakeError as refused:
            await _deny(socket, reel, refused.status)
            return
        except (aiohttp.ClientError, TimeoutError):
            await _deny(socket, reel, 502)
            return
        async with service:
            await socket.accept(subprotocol=service.protocol)
            ended = await _first_of(_up(socket, service, reel), _down(socket, service, reel))
            reel.end(ended.by, ended.code, ended.reason)
            await _close_the_other(socket, service, ended)

    # --- HTTP ----------------------------------------------------------------------------------

    async def request(self, request: Request) -> Response:
        if _is_foreign(request):
            return _foreign()
        body = await request.body()
        reel = self._recorder.open(
            Opened(
                at=0,
                door="http",
                method=request.method,
                target=without_credentials(request.url.path, request.url.query),
            )
        )
        self._running.add(reel.on)
        if body:
            reel.frame("client", body)
        try:
            answer = await self._http.request(
                request.method,
                self._upstream.target(request.url.path, request.url.query),
                data=body or None,
                headers=self._upstream.headers(request) | {"Accept-Encoding": "identity"},
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError):
            reel.head(502, {})
            reel.end("server")
            self._over(reel)
            return _unreachable()
        reel.head(answer.status, dict(answer.headers))
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_RETURNED}
        return StreamingResponse(self._pieces(answer, reel), answer.status, headers)

    async def _pieces(self, answer: aiohttp.ClientResponse, reel: Reel) -> AsyncGenerator[bytes]:
        body = reel.body(streamed="event-stream" in answer.headers.get("content-type", ""))
        ended: tuple[str, int | None] = ("client", ABNORMAL)
        try:
            async for piece in answer.content.iter_any():
                body.piece(piece)
                yield piece
            ended = ("server", None)
        except aiohttp.ClientError:
            ended = ("server", ABNORMAL)
            raise
        finally:
            answer.close()
            body.end()
            reel.end("client" if ended[0] == "client" else "server", ended[1])
            self._over(reel)

    def _over(self, reel: Reel) -> None:
        self._running.discard(reel.on)
        self._ended.set()


async def _up(socket: WebSocket, service: aiohttp.ClientWebSocketResponse, reel: Reel) -> Ended:
    """Pass on what the client sends until it closes."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            code, reason = message.get("code"), message.get("reason") or ""
            return Ended(at=0, by="client", code=code, reason=reason)
        text: str | None = message.get("text")
        reel.frame("client", message["bytes"] if text is None else text)
        with suppress(ConnectionError):  # that the service is gone is told by its own side
            await (service.send_bytes(message["bytes"]) if text is None else service.send_str(text))


async def _down(socket: WebSocket, service: aiohttp.ClientWebSocketResponse, reel: Reel) -> Ended:
    """Pass on what the service sends until it closes."""
    while True:
        message = await service.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            reel.frame("server", message.data)
            with suppress(WebSocketDisconnect, RuntimeError):
                text = message.type is aiohttp.WSMsgType.TEXT
                await (socket.send_text(message.data) if text else socket.send_bytes(message.data))
            continue
        code = service.close_code if message.type is not aiohttp.WSMsgType.ERROR else ABNORMAL
        reason = message.extra if message.type is aiohttp.WSMsgType.CLOSE and message.extra else ""
        return Ended(at=0, by="server", code=code or ABNORMAL, reason=str(reason))


async def _first_of(up: Coroutine[Any, Any, Ended], down: Coroutine[Any, Any, Ended]) -> Ended:
    """Return how the first of both pumps ended, and stop the other."""
    tasks = [asyncio.create_task(pump) for pump in (up, down)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # When both ended in one turn of the loop, the service's word is the one that was recorded last.
        return next(task for task in reversed(tasks) if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close_the_other(socket: WebSocket, service: aiohttp.ClientWebSocketResponse, ended: Ended) -> None:
    if ended.by == "client":
        await service.close(code=sendable(ended.code), message=ended.reason.encode()[:_MAX_REASON])
        return
    if ended.code == ABNORMAL:
        wire_of(socket).reset()
        return
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(sendable(ended.code), ended.reason[:_MAX_REASON])


def sendable(code: int | None) -> int:
    """Return a close code that may stand in a close frame. Source: RFC 6455, section 7.4.1."""
    return 1000 if code is None or code in (1005, ABNORMAL, 1015) else code


async def _deny(socket: WebSocket, reel: Reel, status: int) -> None:
    reel.head(status, {})
    reel.end("server")
    with suppress(WebSocketDisconnect, RuntimeError):
        message = f"The service behind the recorder refused the upgrade with {status}."
        await socket.send_denial_response(JSONResponse({"error": {"message": message}}, status))


def _is_foreign(connection: HTTPConnection) -> bool:
    """A page of another site in a browser on this machine must not talk with our key."""
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).hostname not in ("localhost", "127.0.0.1", "::1")


def _foreign() -> Response:
    return JSONResponse({"error": {"message": "Pages of other sites are not recorded."}}, 403)


def _unreachable() -> Response:
    return JSONResponse({"error": {"message": "The service behind the recorder cannot be reached."}}, 502)


def credentials(key: str | None, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers of a client with this key."""
    return dict(headers or {}) | ({"Authorization": f"Bearer {key}"} if key else {})
