"""A hub's front: every request is checked here, then goes to negotiation or to its transport (rules S-1 to
S-14).

Knows requests and who may make them; what a transport does with its connection is in files of their own.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Final

import msgspec

from kaiwa.hub.connection import Connection
from kaiwa.hub.doors import long_polling, negotiation
from kaiwa.hub.doors.event_stream import serve_event_stream
from kaiwa.hub.doors.exchange import UNCACHED, ClientGone, Exchange, Receive, Scope, Send
from kaiwa.hub.doors.origins import cors_headers, is_allowed, preflight_headers
from kaiwa.hub.doors.web_socket import serve_web_socket
from kaiwa.hub.identity import Asking, Identity
from kaiwa.hub.options import HubOptions, Transport

if TYPE_CHECKING:
    from kaiwa.hub.switchboard import Switchboard

_JSON: Final = b"application/json"
_BEARER: Final = "bearer "
MOST_WAITING: Final = 10_000
"""Clients that negotiated and have not come yet; more are told to try again."""


class Refusal(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, words: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class Doors:
    def __init__(self, board: Switchboard) -> None:
        self._board = board

    @property
    def _options(self) -> HubOptions:
        """As they are now: origins may change."""
        return self._board.options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        exchange = Exchange(scope, receive, send)
        exchange.always = cors_headers(exchange, self._options.origins)
        await self._board.start()
        try:
            await self._serve(exchange)
        except Refusal as refusal:
            await exchange.answer(refusal.status, refusal.words)
        except ClientGone:
            return

    async def _live(self, receive: Receive, send: Send) -> None:
        """The hub is the whole application, so its life is the server's."""
        await receive()
        await self._board.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._board.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.method == "OPTIONS":
            await exchange.answer(204, headers=preflight_headers(exchange))
            return
        if exchange.is_socket and not is_allowed(exchange, self._options.origins):
            raise Refusal(403, "Pages of this origin may not connect")
        if exchange.path.endswith("/negotiate") and not exchange.is_socket:
            await self._negotiate(exchange)
        elif exchange.path.endswith("/refresh") and not exchange.is_socket:
            await self._refresh(exchange)
        elif exchange.is_socket:
            await self._open_socket(exchange)
        elif exchange.method == "GET":
            await self._get(exchange)
        elif exchange.method == "POST":
            await self._post(exchange)
        elif exchange.method == "DELETE":
            await self._delete(exchange)
        else:
            raise Refusal(405)

    # Who asks.

    async def _identity(self, exchange: Exchange) -> tuple[Asking, Identity]:
        asking = _asking(exchange)
        try:
            found = self._options.authenticate(asking)
            identity = await found if inspect.isawaitable(found) else found
        except PermissionError:
            raise Refusal(403) from None
        if identity is None:
            raise Refusal(401)
        return asking, identity

    async def _known(self, exchange: Exchange) -> Connection:
        """Return the connection of a request's token, for who negotiated it only. Raises Refusal."""
        asking, identity = await self._identity(exchange)
        token = exchange.query.get("id")
        if not token:
            raise Refusal(400, "Connection ID required")
        connection = self._board.found(token)
        if connection is None:
            raise Refusal(404, "No Connection with that ID")
        if connection.identity.user_id != identity.user_id:
            raise Refusal(403)
        if connection.machine is None:
            connection.asking = asking  # the request that stays, not the one that negotiated
        return connection

    # What is asked.

    async def _negotiate(self, exchange: Exchange) -> None:
        if exchange.method != "POST":
            raise Refusal(405)
        asking, identity = await self._identity(exchange)
        version = negotiation.version_asked(exchange, self._options)
        if isinstance(version, str):
            await exchange.answer(200, negotiation.refused(version), _JSON, UNCACHED)
            return
        sent = self._options.redirect(asking, identity)
        elsewhere = await sent if inspect.isawaitable(sent) else sent
        if elsewhere is not None:
            await exchange.answer(200, negotiation.redirected(elsewhere), _JSON, UNCACHED)
            return
        if self._board.waiting >= MOST_WAITING:
            raise Refusal(503, "Too many clients are about to connect")
        stateful = negotiation.asks_for_stateful(exchange, self._options)
        made = self._board.open(asking, identity, stateful)
        if version == 0:
            self._board.rename(made, made.id)  # version 0 knows one name only
        facts = negotiation.lifetime(identity, self._board.wall_time())
        answer = negotiation.described(version, made.id, made.token, stateful, self._options, facts)
        await exchange.answer(200, answer, _JSON, UNCACHED)

    async def _refresh(self, exchange: Exchange) -> None:
        """Let a client bring a newer token for the connection that it has (rule S-9)."""
        if exchange.method != "POST":
            raise Refusal(405)
        connection = await self._known(exchange)
        connection.renew((await self._identity(exchange))[1])
        facts = negotiation.lifetime(connection.identity, self._board.wall_time())
        await exchange.answer(200, msgspec.json.encode(facts), _JSON, UNCACHED)

    async def _open_socket(self, exchange: Exchange) -> None:
        self._check_offered("WebSockets")
        if "id" in exchange.query:
            connection = await self._known(exchange)
        else:  # a client that skips negotiation
            connection = self._board.open(*await self._identity(exchange))
        _check_transport(connection, "WebSockets")
        machine = connection.machine
        if machine is not None and not machine.resumable:
            raise Refusal(409)
        await serve_web_socket(exchange, connection)

    async def _get(self, exchange: Exchange) -> None:
        if "text/event-stream" in exchange.headers.get("accept", ""):
            self._check_offered("ServerSentEvents")
            connection = await self._known(exchange)
            _check_transport(connection, "ServerSentEvents")
            if connection.machine is not None:
                raise Refusal(409)
            await serve_event_stream(exchange, connection)
            return
        self._check_offered("LongPolling")
        connection = await self._known(exchange)
        _check_transport(connection, "LongPolling")
        link = connection.link
        if isinstance(link, long_polling.PollLink):
            await long_polling.poll(exchange, connection, link)
        else:
            await long_polling.first_poll(exchange, connection)

    async def _post(self, exchange: Exchange) -> None:
        connection = await self._known(exchange)
        if connection.transport == "WebSockets":
            raise Refusal(405, "POST requests are not allowed for WebSocket connections.")
        if connection.posting is None:
            connection.posting = asyncio.Lock()
        async with connection.posting:
            try:
                async for piece in exchange.body():
                    if piece and not await connection.receive_gently(piece):
                        raise Refusal(404, "No Connection with that ID")
            except ClientGone:
                raise Refusal(400) from None
        await exchange.answer(200)

    async def _delete(self, exchange: Exchange) -> None:
        connection = await self._known(exchange)
        link = connection.link
        if not isinstance(link, long_polling.PollLink):
            raise Refusal(400, "Cannot terminate this connection using the DELETE endpoint.")
        link.abort()
        await exchange.answer(202)

    def _check_offered(self, transport: Transport) -> None:
        if transport not in self._options.transports:
            raise Refusal(404, f"{transport} transport not supported by this end point type")


def _check_transport(connection: Connection, wanted: Transport) -> None:
    if connection.transport not in ("", wanted):
        raise Refusal(400, "Cannot change transports mid-connection")


def _asking(exchange: Exchange) -> Asking:
    streaming = exchange.is_socket or "text/event-stream" in exchange.headers.get("accept", "")
    header = exchange.headers.get("authorization", "")
    token = exchange.token if streaming else None  # browsers cannot set headers there, elsewhere they can
    if header[: len(_BEARER)].lower() == _BEARER:
        token = header[len(_BEARER) :].strip()
    client = exchange.scope.get("client")
    return Asking(exchange.path, exchange.headers, exchange.query, token, client[0] if client else None)
