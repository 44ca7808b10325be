"""Requests and WebSockets that another process answers: passed on as they came, the answer as it comes.

Knows HTTP and frames; nothing of who is asked, nor of what is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from yarl import URL

from kaiwa.server.access import subprotocols

FORWARDED: Final = "x-kaiwa-forwarded"
"""Says that another process sent the request here: it is answered here and nowhere else."""
MAX_FRAME_BYTES: Final = 24 * 1024 * 1024
CONNECT_S: Final = 2.0
HOP: Final = frozenset(
    ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authorization")
)
"""Headers that are about one connection, and not passed on."""
_OWN: Final = frozenset(("content-length", "expect", *HOP))
_OF_THE_SOCKET: Final = "sec-websocket-"
_NO_STATUS: Final = 1005
_GONE: Final = 1006


class Unreachable(Exception):
    """The other process does not take the connection."""


class Forwarding:
    """One client for everything that is passed on. Works inside `running`."""

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
        ) as self._http:
            yield
        self._http = None

    async def answer(self, request: Request, address: str, body: bytes | None = None) -> Passed:
        """Ask the process at an address; `body`: that of the request, if it was read. Raises Unreachable."""
        told = [*_told(request), (FORWARDED, "1")]
        reads = body is None and request.method in ("POST", "PUT", "PATCH")
        try:
            answer = await self._client.request(
                request.method,
                url_at(address, request),
                headers=told,
                data=request.stream() if reads else body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as gone:
            raise Unreachable from gone
        return Passed(answer)

    @asynccontextmanager
    async def reading(
        self, address: str, path: str, headers: Mapping[str, str]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Ask a process something of our own for a while. Raises Unreachable, also when it leaves."""
        try:
            asking = self._client.get(f"http://{address}{path}", headers={**headers, FORWARDED: "1"})
            async with asking as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError) as gone:
            raise Unreachable from gone

    async def serve(self, socket: WebSocket, address: str, *, first: str | None = None) -> None:
        """Let the process at an address serve a socket. Raises Unreachable.

        `first`: the socket was accepted here already, and this was read of it.
        """
        told = [(name, value) for name, value in _told(socket) if not name.startswith(_OF_THE_SOCKET)]
        try:
            there = await self._client.ws_connect(
                url_at(address, socket),
                headers=[*told, (FORWARDED, "1")],
                protocols=subprotocols(socket),
                max_msg_size=MAX_FRAME_BYTES,
                autoping=True,
            )
        except aiohttp.WSServerHandshakeError as refused:
            if first is not None:
                raise Unreachable from refused
            await socket.send_denial_response(Response(status_code=refused.status))
            return
        except (aiohttp.ClientError, TimeoutError) as gone:
            raise Unreachable from gone
        async with there:
            if first is None:
                await socket.accept(subprotocol=there.protocol)
            else:
                await there.send_str(first)
            await pass_frames(socket, there)

    @property
    def _client(self) -> aiohttp.ClientSession:
        assert self._http is not None, "requests are passed on inside running()"
        return self._http


class Passed(StreamingResponse):
    """An answer as it came, `without` some of its headers."""

    def __init__(self, answer: aiohttp.ClientResponse, without: frozenset[str] = HOP) -> None:
        super().__init__(_pieces(answer), answer.status)
        self._answer = answer
        self.raw_headers = [
            (name.lower(), value)
            for name, value in answer.raw_headers
            if name.lower().decode() not in without
        ]

    async def read(self) -> bytes:
        """Return the whole body instead of passing it on."""
        async with self._answer:
            return await self._answer.read()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield an answer. One that breaks off ends the connection without an end, as the other process' did."""
    async for piece in answer.content.iter_any():
        yield piece


async def pass_frames(socket: WebSocket, there: aiohttp.ClientWebSocketResponse) -> None:
    """Pass frames of an accepted socket both ways until either side ends, and the close code with it."""
    upwards, downwards = asyncio.create_task(_up(socket, there)), asyncio.create_task(_down(there, socket))
    try:
        await asyncio.wait((upwards, downwards), return_when=asyncio.FIRST_COMPLETED)
        if upwards.done() and not upwards.cancelled() and upwards.exception() is None:
            await there.close(code=_sendable(upwards.result()))
    finally:
        for pump in (upwards, downwards):
            pump.cancel()
        await asyncio.gather(upwards, downwards, return_exceptions=True)
    open_still = socket.client_state == socket.application_state == WebSocketState.CONNECTED
    if open_still:
        await socket.close(_sendable(there.close_code or _NO_STATUS))


async def _up(socket: WebSocket, there: aiohttp.ClientWebSocketResponse) -> int:
    """Pass on what the client says; return the code that it closed with."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await there.send_bytes(message["bytes"])
        else:
            await there.send_str(message["text"])
    return int(message.get("code") or _NO_STATUS)


async def _down(there: aiohttp.ClientWebSocketResponse, socket: WebSocket) -> None:
    async for message in there:
        try:
            if message.type == aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type == aiohttp.WSMsgType.TEXT:
                await socket.send_text(message.data)
        except WebSocketDisconnect:
            return


def _sendable(code: int) -> int:
    """Return a code that may stand in a close frame. A process that was lost counts as going away."""
    return {_NO_STATUS: 1000, _GONE: 1001}.get(code, code)


def url_at(address: str, connection: HTTPConnection) -> URL:
    """Return what a request asks for, at another address."""
    query = connection.scope["query_string"].decode("latin-1")
    path = connection.scope.get("raw_path", connection.scope["path"].encode()).decode("latin-1")
    return URL(f"http://{address}{path}{'?' + query if query else ''}", encoded=True)


def _told(connection: HTTPConnection) -> list[tuple[str, str]]:
    return [(name, value) for name, value in connection.headers.items() if name not in _OWN]
