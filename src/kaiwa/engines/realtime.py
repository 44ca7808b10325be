"""The service as an engine: one WebSocket to Azure OpenAI or OpenAI for one conversation.

Knows connecting, failing over and bounds; frames are read by `protocol.realtime.passing`, and what they mean
is the session's. Nothing of the peer's request (keys, origin, subprotocols) is ever sent on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import aiohttp
import msgspec

from kaiwa.errors import UpstreamError
from kaiwa.events.engine import EngineCommand
from kaiwa.events.relay import (
    Forward,
    PassedFrame,
    RelayEvent,
    Reopen,
    UpstreamClosed,
    UpstreamOpened,
    UpstreamRefused,
    UpstreamSaid,
    UpstreamUnreachable,
)
from kaiwa.protocol.realtime.passing import Reader, upstream_reader, upstream_writer
from kaiwa.upstream.realtime import RealtimeTarget
from kaiwa.upstream.realtime_pool import RealtimePool

log = logging.getLogger(__name__)

# Over the first the peer is read no further; below the second it is again.
BACKLOG_BYTES: Final = 1024 * 1024
ENOUGH_ROOM_BYTES: Final = 256 * 1024
PING_S: Final = 20.0
_MAX_FRAME_BYTES: Final = 24 * 1024 * 1024
_CLOSE_S: Final = 1.0
_ABNORMAL: Final = 1006
_SMALL_BYTES: Final = 512
_NO_HEADERS: Final[Mapping[str, str]] = {}

_ENDS: Final = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)


class Dialling(Protocol):
    """Who follows one try to connect. `headers` go with the request."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def over(self, code: str | None) -> None:
        """It has ended; None: well."""
        ...


Follow = Callable[[RealtimeTarget], Dialling]


class Upstreams:
    """What all relayed conversations of a process share: the targets and one HTTP client."""

    def __init__(self, pool: RealtimePool, *, connect_s: float = 10.0, ping_s: float = PING_S) -> None:
        self.pool = pool
        self.connect_s = connect_s
        self._ping_s = ping_s
        self._http: aiohttp.ClientSession | None = None
        self.follow: Follow | None = None
        """Hears of every try to connect; None: nobody does."""

    @property
    def http(self) -> aiohttp.ClientSession:
        """The one client, made in the loop that first uses it."""
        if self._http is None:
            connector, traces = aiohttp.TCPConnector(limit=0), aiohttp.TraceConfig()
            traces.on_request_redirect.append(_stay)
            self._http = aiohttp.ClientSession(connector=connector, trust_env=True, trace_configs=[traces])
        return self._http

    async def dial(
        self, target: RealtimeTarget, model: str | None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(
            target.url(model),
            headers={**headers, **await target.credential.headers()},
            heartbeat=self._ping_s,
            max_msg_size=_MAX_FRAME_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),  # pyright: ignore[reportCallIssue]
        )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
        await self.pool.close()


class RealtimeEngine:
    """Fits `kaiwa.interfaces.Engine`. `looks` are the types of frames whose body the session wants.

    `call`: the one target, a call that is under way; None: whichever target takes the model.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        model: str | None,
        looks: frozenset[str],
        *,
        call: RealtimeTarget | None = None,
    ) -> None:
        self._upstreams = upstreams
        self._call = call
        self._model = model
        self._looks = looks
        self._backlog: deque[PassedFrame] = deque()
        self._backlog_bytes = 0
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._target: RealtimeTarget | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._writer: asyncio.Task[None] | None = None
        self._first: list[UpstreamSaid] = []
        self._wanted = asyncio.Event()
        self._failed = False
        self._taken = False
        self._decided = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()

    def ask(self, command: EngineCommand) -> None:
        if isinstance(command, Reopen):
            self._begin_again(command)
            return
        assert isinstance(command, Forward), "a relay session only forwards"
        self._backlog.append(command.frame)
        self._backlog_bytes += _size(command.frame)
        if self._backlog_bytes > BACKLOG_BYTES:
            self._room.clear()
        self._more.set()

    async def ready(self) -> None:
        """Wait while more is waiting for the service than should."""
        await self._room.wait()

    async def taken(self) -> bool:
        """Wait until a service has taken the conversation, or has not. From then on it is heard."""
        await self._decided.wait()
        return self._taken

    async def events(self) -> AsyncIterator[RelayEvent]:
        while True:
            trouble = await self._connect()
            self._taken = trouble is None
            self._decided.set()
            if trouble is not None:
                yield trouble
            else:
                async for said in self._said():
                    yield said
            await self._wanted.wait()
            self._wanted.clear()
            self._leave()

    async def _said(self) -> AsyncIterator[RelayEvent]:
        """Yield what one session says until it ends, or another is wanted."""
        socket, target = self._socket, self._target
        assert socket is not None and target is not None, "connected"
        self._writer = asyncio.create_task(self._write(socket, upstream_writer(target.dialect)))
        yield UpstreamOpened(lives_s=_life_of(self._first))
        for said in self._first:
            yield said
        read = self._read
        while not self._wanted.is_set():  # a socket that is being closed is not read: it would wait for that
            message = await socket.receive()
            if message.type in _ENDS:
                break
            if message.type is aiohttp.WSMsgType.TEXT:
                for said in read(message.data):
                    yield said
        else:
            return
        if not self._wanted.is_set():
            yield _closed(socket, message)

    def _begin_again(self, wish: Reopen) -> None:
        """Drop what waits for the session that is given up, and let the reader begin another."""
        self._failed = wish.failed
        self._backlog.clear()
        self._backlog_bytes = 0
        self._room.set()
        self._wanted.set()
        if self._socket is not None:
            self._close_behind(self._socket)

    def _leave(self) -> None:
        """Let go of the session that is given up; nobody waits for its last words."""
        if self._writer is not None:
            self._writer.cancel()
        self._socket = None
        self._let_go(failed=self._failed)

    def _close_behind(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        task = asyncio.create_task(_closed_quietly(socket))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
        for task in self._closing:
            task.cancel()
        self._decided.set()
        try:
            if self._socket is not None:
                await self._socket.close()
        finally:  # cancelled while it closes, the target is free all the same
            self._let_go(failed=False)

    # --- connecting ----------------------------------------------------------------------------

    async def _connect(self) -> RelayEvent | None:
        """Connect to the first target that takes us in; else return what the last one said."""
        trouble: RelayEvent | None = None
        pool = self._upstreams.pool
        for target in [self._call] if self._call else pool.candidates(self._model):
            trouble = await self._try(target)
            if trouble is None:
                return None
            facts = {"upstream": target.name, "cause": type(trouble).__name__}
            if isinstance(trouble, UpstreamRefused):
                facts |= {"status": str(trouble.status or ""), "code": trouble.code or ""}
            log.warning("upstream did not take the session", extra=facts)
        return trouble

    async def _try(self, target: RealtimeTarget) -> RelayEvent | None:
        if self._upstreams.follow is None:
            return await self._tried(target, _NO_HEADERS)
        dialling, code = self._upstreams.follow(target), "cancelled"
        try:
            trouble = await self._tried(target, dialling.headers)
            code = _word_for(trouble)
        finally:
            dialling.over(code)
        return trouble

    async def _tried(self, target: RealtimeTarget, headers: Mapping[str, str]) -> RelayEvent | None:
        self._take(target)
        try:
            async with asyncio.timeout(self._upstreams.connect_s):
                self._socket = await self._upstreams.dial(target, self._model, headers)
                trouble = await self._greeted(self._socket, target)
        except TimeoutError:
            trouble = UpstreamUnreachable(cause="timeout")
        except aiohttp.WSServerHandshakeError as refused:
            trouble = UpstreamRefused(status=refused.status)
        except UpstreamError:
            trouble = UpstreamUnreachable(cause="credentials")
        except (aiohttp.ClientError, OSError):
            trouble = UpstreamUnreachable(cause="network")
        if trouble is not None:
            await self._part()
            self._let_go(failed=True)
        return trouble

    async def _greeted(
        self, socket: aiohttp.ClientWebSocketResponse, target: RealtimeTarget
    ) -> RelayEvent | None:
        """Take the first frame. OpenAI refuses by an error event on an open connection."""
        if target.call_id is not None:  # a call under way greets nobody
            self._read = upstream_reader(target.dialect, self._looks | {"error"})
            return None
        message = await socket.receive()
        if message.type in _ENDS:
            return UpstreamRefused(status=503)
        self._read: Reader = upstream_reader(target.dialect, self._looks | {"error"})
        self._first = list(self._read(message.data)) if message.type is aiohttp.WSMsgType.TEXT else []
        for said in self._first:
            if said.type == "error":
                return UpstreamRefused(code=_code(said.body))
        return None

    def _take(self, target: RealtimeTarget) -> None:
        self._target = target
        self._upstreams.pool.take(target)

    def _let_go(self, *, failed: bool) -> None:
        target, self._target = self._target, None
        if target is not None:
            self._upstreams.pool.give_back(target, failed=failed)

    async def _part(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    # --- writing -------------------------------------------------------------------------------

    async def _write(
        self, socket: aiohttp.ClientWebSocketResponse, write: Callable[[PassedFrame], str]
    ) -> None:
        backlog = self._backlog
        try:
            while True:
                while backlog:
                    frame = backlog.popleft()
                    await socket.send_str(write(frame))
                    self._backlog_bytes -= _size(frame)
                    if self._backlog_bytes < ENOUGH_ROOM_BYTES:
                        self._room.set()
                self._more.clear()
                await self._more.wait()
        except (aiohttp.ClientError, ConnectionError):
            log.info("the service takes no more frames")  # the reader tells how it ended
        finally:
            self._room.set()


def _word_for(trouble: RelayEvent | None) -> str | None:
    """Return the code of what kept a connection from coming about."""
    match trouble:
        case UpstreamRefused():
            return trouble.code or str(trouble.status)
        case UpstreamUnreachable():
            return trouble.cause
        case _:
            return None


async def _stay(*_: object) -> None:
    """Follow no redirect: the key is for the address that the operator named."""
    raise aiohttp.ClientConnectionError("a redirect")


def _size(frame: PassedFrame) -> int:
    return _SMALL_BYTES if frame.frame is None else len(frame.frame)


def _closed(socket: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage) -> UpstreamClosed:
    if message.type is aiohttp.WSMsgType.CLOSE:
        return UpstreamClosed(code=message.data or _ABNORMAL, reason=message.extra or "")
    return UpstreamClosed(code=socket.close_code or _ABNORMAL)


async def _closed_quietly(socket: aiohttp.ClientWebSocketResponse) -> None:
    try:
        await socket.close()
    except (aiohttp.ClientError, ConnectionError):
        log.info("the service had closed the connection already")


def _life_of(said: Sequence[UpstreamSaid]) -> float | None:
    """Return how many seconds a session lives that begins with these words, if it says so."""
    for one in said:
        session: Any = None if one.body is None else one.body.get("session")
        ends = cast(dict[str, Any], session).get("expires_at") if isinstance(session, dict) else None
        if isinstance(ends, int) and ends > 0:
            return ends - time.time()
    return None


def _code(body: dict[str, Any] | None) -> str:
    try:
        error = msgspec.convert(body, dict[str, Any]).get("error")
        return str(msgspec.convert(error, dict[str, Any]).get("code"))
    except msgspec.ValidationError:
        return "server_error"
