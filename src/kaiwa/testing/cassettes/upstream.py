"""A cassette as a service that clients connect to. Knows sockets; what is played is the player's affair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.protocol.cassette.matching import STRICT, Matching
from kaiwa.protocol.cassette.player import Player
from kaiwa.protocol.cassette.redaction import without_credentials
from kaiwa.protocol.cassette.tape import Bytes, Cassette, Ended, Exchange, Frame, Head, Played
from kaiwa.testing.cassettes.deck import Deck
from kaiwa.testing.cassettes.playing import Clock, play
from kaiwa.testing.cassettes.proxy import ABNORMAL, KEY_PROTOCOL, sendable
from kaiwa.testing.service.sockets import listening, wire_of

_POLICY_VIOLATION: Final = 1008
_MAX_REASON: Final = 120


class Replay:
    """A cassette being played as a service. `url` is the base address; keys are not looked at."""

    def __init__(self, cassette: Cassette, rules: Matching, pace: float | None) -> None:
        self.url = ""
        self._deck = Deck(cassette, rules, pace)
        self.changed = asyncio.Event()

    @property
    def realtime_url(self) -> str:
        """The address of the first recorded WebSocket."""
        opened = [one.opened for one in self._deck.cassette.exchanges if one.opened.door == "websocket"]
        assert opened, "there is no WebSocket in this cassette"
        return self.url.replace("http", "ws", 1) + opened[0].target

    @property
    def over(self) -> bool:
        return self._deck.over

    def problems(self) -> list[str]:
        """Return what went otherwise than recorded, the first thing first; nothing: all was as recorded."""
        return self._deck.problems()

    # --- doors ---------------------------------------------------------------------------------

    async def conversation(self, socket: WebSocket) -> None:
        taken = self._deck.take("websocket", "GET", without_credentials(socket.url.path, socket.url.query))
        if taken is None:
            await socket.send_denial_response(self._not_recorded())
            self.changed.set()
            return
        exchange, player = taken
        head = next((one.entry for one in exchange.entries if isinstance(one.entry, Head)), None)
        try:
            if head is not None:
                await socket.send_denial_response(JSONResponse({"error": {}}, head.status, head.headers))
                player.mismatch, player.left = None, True
                return
            await socket.accept(subprotocol=_chosen(socket, exchange))
            await _SocketDoor(socket, player).run()
        finally:
            self.changed.set()

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        taken = self._deck.take(
            "http", request.method, without_credentials(request.url.path, request.url.query)
        )
        try:
            if taken is None:
                await self._not_recorded()(scope, receive, send)
                return
            _, player = taken
            now = asyncio.get_running_loop().time()
            player.start(now)
            if body:
                player.receive(_text_or_bytes(body), now)
            await _HttpDoor(player, scope, receive, send).run()
        finally:
            self.changed.set()

    def _not_recorded(self) -> Response:
        return JSONResponse({"error": {"message": self._deck.strangers[-1], "code": "not_recorded"}}, 404)


def _chosen(socket: WebSocket, exchange: Exchange) -> str | None:
    """Return the subprotocol to answer with: the service's own, where it was offered."""
    offered = [name for name in socket.scope.get("subprotocols", []) if not name.startswith(KEY_PROTOCOL)]
    return "realtime" if "realtime" in offered else next(iter(offered), None)


class _SocketDoor:
    def __init__(self, socket: WebSocket, player: Player) -> None:
        self._socket = socket
        self._player = player

    async def run(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await play(self._player, self._receive, self._give, Clock())
        if not self._player.finished:
            self._player.end(Clock().now())
        if self._player.mismatch is not None:
            with suppress(WebSocketDisconnect, RuntimeError):
                reason = f"not as recorded: {self._player.mismatch.problem}"
                await self._socket.close(
                    _POLICY_VIOLATION, reason.encode()[:_MAX_REASON].decode(errors="ignore")
                )

    async def _receive(self) -> str | bytes | None:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def _give(self, entry: Played) -> None:
        match entry:
            case Frame(text=text):
                await self._socket.send_text(text)
            case Bytes():
                await self._socket.send_bytes(entry.data)  # type: ignore[arg-type]
            case Ended(code=code) if code == ABNORMAL:
                wire_of(self._socket).reset()
            case Ended(code=code, reason=reason):
                await self._socket.close(sendable(code), reason[:_MAX_REASON])
            case Head():
                pass  # a refusal is told instead of an upgrade


class _HttpDoor:
    """One answer, in the pieces in which it was recorded."""

    def __init__(self, player: Player, scope: Scope, receive: Receive, send: Send) -> None:
        self._player = player
        self._scope = scope
        self._receive_message = receive
        self._send = send
        self._begun = False

    async def run(self) -> None:
        with suppress(ClientDisconnect, OSError):
            await play(self._player, self._left, self._give, Clock())
        if not self._player.finished:
            self._player.end(Clock().now())
        if self._player.mismatch is not None and not self._begun:
            error = {"message": str(self._player.mismatch), "code": "not_as_recorded"}
            await JSONResponse({"error": error}, 409)(self._scope, self._receive_message, self._send)

    async def _left(self) -> None:
        """Wait until the client has gone."""
        while (await self._receive_message())["type"] != "http.disconnect":
            pass

    async def _give(self, entry: Played) -> None:
        match entry:
            case Head(status=status, headers=headers):
                self._begun = True
                raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                await self._send({"type": "http.response.start", "status": status, "headers": raw})
            case Frame() | Bytes():
                data = entry.data.encode() if isinstance(entry.data, str) else entry.data
                await self._send(_piece(data, more=True))
            case Ended(code=code) if code != ABNORMAL:
                await self._send(_piece(b"", more=False))
            case Ended():
                raise OSError("the recorded answer broke off here")


def _piece(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


@asynccontextmanager
async def replaying(
    cassette: Cassette,
    rules: Matching = STRICT,
    *,
    pace: float | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncGenerator[Replay]:
    """Serve a cassette until the block is left. Raises OSError when the port is taken."""
    replay = Replay(cassette, rules, pace)
    every = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    routes = [
        WebSocketRoute("/{path:path}", replay.conversation),
        Route("/{path:path}", _Asgi(replay), methods=every),
    ]
    async with listening(Starlette(routes=routes), host=host, port=port) as used_port:
        replay.url = f"http://{host}:{used_port}"
        yield replay


class _Asgi:
    """A route that writes its own answer: Starlette takes a class's instance for an application."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._replay.request(scope, receive, send)
