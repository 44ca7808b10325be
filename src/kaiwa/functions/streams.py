"""Requests of apps that stream: passed to the worker's own HTTP server while the invocation runs.

Knows the two halves of an exchange and how they meet: the header `x-ms-invocation-id`. Neither body is
gathered: a piece goes on when it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import aiohttp
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from yarl import URL

from kaiwa.functions import troubles
from kaiwa.functions.answers import HOP_BY_HOP
from kaiwa.functions.process import Invocation, Invoked
from kaiwa.functions.running import InvocationFailed

_ID: Final = "x-ms-invocation-id"
_OWN: Final = {*HOP_BY_HOP, "date", "server"} - {"content-length"}
_BODILESS: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
_TRIES: Final = 50
_BETWEEN_TRIES_S: Final = 0.1

Invoke = Callable[[Invocation], Awaitable[Invoked]]


class WorkerStreams:
    """Enter it to be able to pass requests; `uri` says where the worker listens now."""

    def __init__(self, uri: Callable[[], str]) -> None:
        self._uri = uri
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None),
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
        )

    async def __aenter__(self) -> WorkerStreams:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def exchange(self, request: Request, invocation: Invocation, invoke: Invoke) -> Response:
        """Return the function's response, whose body streams. Raises what `invoke` raises."""
        running = asyncio.ensure_future(invoke(invocation))
        passing = asyncio.ensure_future(self._pass(request, invocation))
        try:
            await asyncio.wait([running, passing], return_when=asyncio.FIRST_EXCEPTION)
            if running.done():
                await running  # what went wrong there says more than the worker's bare 500
            elif passing.exception() is not None:
                raise InvocationFailed(troubles.WORKER_ENDED, 502) from None
            answer = await passing
        except BaseException:
            await _end(running, passing)
            raise
        return _Streamed(answer)

    async def _pass(self, request: Request, invocation: Invocation) -> aiohttp.ClientResponse:
        """Send the request on. The worker's server may be about to open its port still."""
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name not in HOP_BY_HOP and name != "host"
        ]
        path: bytes = request.scope["raw_path"]
        query: bytes = request.scope["query_string"]
        target = (path + (b"?" + query if query else b"")).decode("latin-1")
        for _ in range(_TRIES):
            try:
                return await self._http.request(
                    request.method,
                    URL(f"{self._uri()}{target}", encoded=True),
                    headers=[*headers, (_ID, invocation.id), ("host", request.url.netloc)],
                    data=None if request.method in _BODILESS else _pieces(request),
                    allow_redirects=False,
                )
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(_BETWEEN_TRIES_S)
        raise InvocationFailed(troubles.WORKER_ENDED, 502)


async def _pieces(request: Request) -> AsyncGenerator[bytes]:
    """A caller that leaves breaks the request, so that the function does not take a part for the whole."""
    async for piece in request.stream():
        if piece:
            yield piece


class _Streamed(StreamingResponse):
    """The worker's answer, and with it the worker's work, ends with the caller's connection."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        super().__init__(answer.content.iter_any(), answer.status)
        self._answer = answer
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
            if name.lower() not in _OWN
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()


async def _end(running: asyncio.Future[Invoked], passing: asyncio.Future[aiohttp.ClientResponse]) -> None:
    for each in (running, passing):
        each.cancel()
    await asyncio.wait([running, passing])
    if not passing.cancelled() and passing.exception() is None:
        passing.result().close()
