"""How a request that came to the wrong process gets to the right one: by what it names, and who holds that.

An id or a token says which process made it (`ids`), so those need no entry in the directory; names that
clients chose are claimed there. Knows names and holders; nothing of what is held.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from kaiwa.server.cluster.directory import PROCESS, Directory, Holder, is_from_here
from kaiwa.server.failures import failure
from kaiwa.server.forwarding import FORWARDED, Forwarding, Unreachable
from kaiwa.server.ids import mark_of
from kaiwa.server.resuming import HEADER
from kaiwa.server.routes import Answer, Entry

App = Callable[[Scope, Receive, Send], Awaitable[None]]
CONVERSATION: Final = "conversation"
CALL: Final = "call"
"""Calls whose id is a service's: they are claimed, since it does not say who began them."""
_OF_A_SERVICE: Final = "rtc_"
REMEMBERED_S: Final = 2.0
"""So long it is taken for true where a process is, and that there is none."""
_MOST_REMEMBERED: Final = 1000
_CALLS: Final = "/realtime/calls"
_POOL: Final = "/api/pool"
_RELAYED: Final = ("/chat/completions", "/responses")
_TRY_AGAIN_S: Final = "2"


class Refused(Exception):
    """Another process does not tell what it was asked."""


class Crossing:
    """Works inside `running`."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._forwarding = Forwarding()
        self._remembered: dict[str, tuple[Holder | None, float]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with self._forwarding.running():
            yield

    def by_path(self, parameter: str, answer: Answer) -> Answer:
        """Let the process answer that made the id in the address."""

        async def crossed(request: Request) -> Response:
            return await self._elsewhere(request, request.path_params[parameter]) or await answer(request)

        return crossed

    def by_last_event(self, answer: Answer) -> Answer:
        """Let the process answer that wrote the stream of `Last-Event-ID`."""

        async def crossed(request: Request) -> Response:
            stream = (request.headers.get("last-event-id") or "").partition(":")[0]
            return await self._elsewhere(request, stream) or await answer(request)

        return crossed

    def by_token(self, answer: Answer) -> Answer:
        """Let the process answer that made the token of who comes back."""

        async def crossed(request: Request) -> Response:
            token = request.headers.get(HEADER) or request.query_params.get("resume", "")
            return await self._elsewhere(request, token) or await answer(request)

        return crossed

    def by_process(self, answer: Answer) -> Answer:
        """Let the process answer that is named, for what each tells of itself alone."""

        async def crossed(request: Request) -> Response:
            named = request.query_params.get("process", "")
            return await self._elsewhere(request, named) or await answer(request)

        return crossed

    def by_query(self, parameter: str, app: App) -> App:
        """Let the process serve that made the token in the query: any kind of request."""

        async def crossed(scope: Scope, receive: Receive, send: Send) -> None:
            named = HTTPConnection(scope).query_params.get(parameter, "")
            if not named or is_from_here(named):
                await app(scope, receive, send)
            elif scope["type"] == "websocket":
                if not await self.serves(WebSocket(scope, receive, send), named):
                    await app(scope, receive, send)
            else:
                response = await self._elsewhere(Request(scope, receive), named)
                await (response or app)(scope, receive, send)

        return crossed

    async def serves(self, socket: WebSocket, *names: str, first: str | None = None) -> bool:
        """Let the process serve a socket that made one of these ids; False: it is to be served here.

        `first`: what was read of the socket already, after it was accepted here.
        """
        if FORWARDED in socket.headers:
            return False
        for named in names:
            holder = await self._holder_of(named)
            if holder is not None and self.directory.here.reaches(holder):
                try:
                    await self._forwarding.serve(socket, holder.address, first=first)
                except Unreachable:
                    return False
                return True
        return False

    async def conversation(self, request: Request, owner: str, name: str, body: bytes) -> Response | None:
        """Hold a conversation here, under the name its owner gave it; else return its holder's answer."""
        key, directory = key_of(owner, name), self.directory
        holder = await directory.claim(CONVERSATION, key)
        if holder == directory.here:
            return None
        if FORWARDED in request.headers:
            return _moves()
        try:
            return await self._forward(request, holder, body)
        except Unreachable:
            holder = await directory.claim(CONVERSATION, key, instead_of=holder)
            return None if holder == directory.here else _moves()

    async def release(self, owner: str, name: str) -> None:
        """Hold a conversation no longer."""
        await self.directory.release(CONVERSATION, key_of(owner, name))

    async def release_unless(self, kept: object, owner: str, name: str | None) -> None:
        """Hold a name no longer that was claimed for a conversation which did not begin."""
        if name is not None and not kept:
            await self.release(owner, name)

    async def text_of(self, request: Request, holder: Holder) -> str:
        """Ask a process the same, and return what it says. Raises Unreachable, Refused."""
        answer = await self._forwarding.answer(request, holder.address)
        said = await answer.read()
        if answer.status_code != 200:
            raise Refused
        return said.decode()

    async def lines_of(self, named: str, path: str, headers: Mapping[str, str]) -> AsyncGenerator[bytes]:
        """Yield the lines that the maker of an id says at an address. Raises Unreachable, Refused."""
        holder = await self._holder_of(named)
        if holder is None or not self.directory.here.reaches(holder):
            raise Unreachable
        async with self._forwarding.reading(holder.address, path, headers) as answer:
            if answer.status != 200:
                raise Refused
            waiting = bytearray()
            async for piece in answer.content.iter_any():
                waiting += piece
                *lines, rest = waiting.split(b"\n")
                for line in lines:
                    yield bytes(line)
                waiting = rest

    def around(self, entry: Entry) -> Entry:
        """Return the entry, answered by the process that made what its address or its reader names."""
        path = entry.paths[0]
        for parameter in ("call_id", "stream_id"):
            if f"{{{parameter}}}" in path:
                return entry._replace(answer=self.by_path(parameter, entry.answer))
        if entry.method == "POST" and path.endswith(_CALLS):
            return entry._replace(answer=self.by_token(entry.answer))
        if path == _POOL:
            return entry._replace(answer=self.by_process(entry.answer))
        if entry.method == "POST" and path.endswith(_RELAYED):
            return entry._replace(answer=self.by_last_event(entry.answer))
        return entry

    async def _elsewhere(self, request: Request, named: str) -> Response | None:
        if FORWARDED in request.headers:
            return None
        holder = await self._holder_of(named)
        try:
            return None if holder is None else await self._forward(request, holder)
        except Unreachable:
            text = "The process that holds it does not answer. Try again: it is back in a moment, or gone."
            return _later(503, "holder_unreachable", text)

    async def _forward(self, request: Request, holder: Holder, body: bytes | None = None) -> Response:
        if not self.directory.here.reaches(holder):
            return _out_of_reach(holder)
        return await self._forwarding.answer(request, holder.address, body)

    async def _holder_of(self, named: str) -> Holder | None:
        """Return another process that made an id; None: this one did, or nobody that lives."""
        mark, now = mark_of(named), time.monotonic()
        if not mark or is_from_here(named):
            return None
        holder, until = self._remembered.get(mark, (None, 0.0))
        if now >= until:
            holder = await self.directory.find(PROCESS, mark)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[mark] = holder, now + REMEMBERED_S
        if holder is None and named.startswith(_OF_A_SERVICE):
            holder = await self.directory.find(CALL, named)
            return None if holder == self.directory.here else holder
        return holder


def key_of(owner: str, name: str) -> str:
    """Return what stands for a conversation in the directory, where people's names have no business."""
    return hashlib.sha256(f"{owner}\0{name}".encode()).hexdigest()


def _moves() -> Response:
    text = "This conversation is changing hands between two processes. Try again in a moment."
    return _later(409, "conversation_moves", text)


def _out_of_reach(holder: Holder) -> Response:
    """Answer for what another machine holds that did not say where it can be asked."""
    machine = holder.machine.partition(" ")[0]
    text = (
        f"Process {holder.process} on {machine} holds this, and cannot be asked from here. "
        "Ask that server, or set KAIWA_PEER_HOST on all of them."
    )
    response = failure(409, "held_elsewhere", text)
    response.headers["x-kaiwa-holder"] = f"{holder.process}@{machine}"
    return response


def _later(status: int, code: str, text: str) -> Response:
    response = failure(status, code, text, type="server_error")
    response.headers["retry-after"] = _TRY_AGAIN_S
    return response
