"""A live kaiwa server in the event loop of a test, and callers who see it through the planted breakage.

Sessions are answered by a scripted engine. Every wait is bounded; one that is not met is an assertion that
failed, so that a planted breakage shows as one.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.contract.breakages import Breakage, Frame
from tests.server.running import InThisLoop, at_home, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.server.calls_media import Media
from kaiwa.server.conversations import HostAnswerer
from kaiwa.server.ephemeral import EphemeralKeys
from kaiwa.server.settings import Settings
from kaiwa.testing.conformance import check_server_event
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Script
from kaiwa.tools.agent import Agent

KEY = "the-key-of-this-house"
BEARER = {"Authorization": f"Bearer {KEY}"}
API_KEY = {"api-key": KEY}
GA = "/v1/realtime?model=gpt-realtime"
AZURE = "/openai/v1/realtime?model=dep"
PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&deployment=dep"
OCTOBER = "/openai/realtime?api-version=2024-10-01-preview&deployment=dep"
PATIENCE_S = 10.0
# What a breakage took away need not be waited for as long.
BROKEN_PATIENCE_S = 0.4


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as its caller sees it."""

    status: int
    headers: dict[str, str]
    body: Any


class Caller:
    """One WebSocket to the house."""

    def __init__(
        self, socket: ClientConnection, planted: Breakage, patience_s: float, dialect: Dialect | None
    ) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self._planted = planted
        self._patience_s = patience_s
        self._dialect = dialect
        self._waiting: deque[Frame] = deque()

    @property
    def reply(self) -> Answer:
        """What the upgrade was answered with."""
        reply = self.socket.response
        assert reply is not None, "a connected socket has its reply"
        headers = {name.lower(): value for name, value in reply.headers.raw_items()}
        return Answer(*self._planted.answer(reply.status_code, headers, None))

    async def send(self, frame: Frame | str | bytes, **fields: Any) -> None:
        """Send one frame; a string as it is, bytes as a binary message."""
        for told in self._planted.from_peer({**frame, **fields} if isinstance(frame, dict) else frame):
            await self.socket.send(json.dumps(told) if isinstance(told, dict) else told)

    async def hear(self) -> Frame:
        """Return the next frame."""
        try:
            async with asyncio.timeout(self._patience_s):
                while not self._waiting:
                    text = await self.socket.recv()
                    if self._dialect is not None:
                        check_server_event(text, self._dialect)
                    self._waiting.extend(self._planted.to_peer(json.loads(text)))
        except TimeoutError:
            raise AssertionError(f"nothing more after {self.types}") from None
        except ConnectionClosed as closed:
            raise AssertionError(f"closed with {closed} after {self.types}") from None
        frame = self._waiting.popleft()
        self.frames.append(frame)
        return frame

    async def until(self, kind: str) -> Frame:
        """Return the next frame of a type."""
        while (frame := await self.hear())["type"] != kind:
            pass
        return frame

    async def error(self) -> Frame:
        """Return the next frame, which must be an error: what it says."""
        frame = await self.hear()
        assert frame["type"] == "error", frame
        return frame["error"]

    async def closed(self) -> tuple[int, str]:
        """Return close code and reason; nothing may come before them."""
        assert not self._waiting, f"one more frame: {self._waiting[0]!r:.200}"
        try:
            async with asyncio.timeout(self._patience_s):
                text = await self.socket.recv()
        except TimeoutError:
            raise AssertionError("the connection stays open") from None
        except ConnectionClosed:
            code, reason = self.socket.close_code, self.socket.close_reason
            assert code is not None, "a closed socket has a code"
            return self._planted.close(code, reason or "")
        raise AssertionError(f"one more frame: {text!r:.200}")

    async def gone(self) -> int:
        """Return the close code, whatever comes before it."""
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    await self.socket.recv()
        except TimeoutError:
            raise AssertionError("the connection stays open") from None
        except ConnectionClosed:
            code = self.socket.close_code
            assert code is not None, "a closed socket has a code"
            return self._planted.close(code, "")[0]

    async def update(self, **session: Any) -> Frame:
        await self.send({"type": "session.update", "session": {"type": "realtime", **session}})
        return await self.hear()

    async def say(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.send(
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": content},
            }
        )

    @property
    def types(self) -> list[str]:
        return [str(frame.get("type")) for frame in self.frames]


class House:
    """The live server: who calls it and what it answers over HTTP."""

    def __init__(self, server: InThisLoop, planted: Breakage | None, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.address = server.addresses[0]
        self.planted = planted or Breakage()
        self.patience_s = PATIENCE_S if planted is None else BROKEN_PATIENCE_S
        self._strict = planted is None
        self._http = http

    @asynccontextmanager
    async def call(
        self,
        path: str = GA,
        headers: dict[str, str] = BEARER,
        offered: tuple[str, ...] = (),
        *,
        dialect: Dialect | None = "ga",
        **options: Any,
    ) -> AsyncIterator[Caller]:
        """Open a WebSocket. `dialect` None: what comes is not checked against any."""
        path, headers, protocols = self.planted.knock(path, dict(headers), list(offered))
        opened = connect(
            self.address.replace("http", "ws", 1) + path,
            additional_headers=headers,
            subprotocols=[Subprotocol(name) for name in protocols] or None,
            max_size=None,
            max_queue=None,
            close_timeout=1,
            proxy=None,
            **({"compression": None} | options),
        )
        async with asyncio.timeout(10):
            socket = await opened
        async with socket:
            yield Caller(socket, self.planted, self.patience_s, dialect if self._strict else None)

    async def first(self, *given: Any, **options: Any) -> Frame:
        """Return the first frame of a new connection."""
        async with self.call(*given, **options) as caller:
            return await caller.hear()

    async def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] = BEARER, **options: Any
    ) -> Answer:
        """Make a request; a JSON answer is decoded."""
        asked = self._http.request(method, self.address + path, json=body, headers=headers, **options)
        async with asyncio.timeout(10), asked as answer:
            told = await answer.read()
            if answer.content_type == "application/json":
                told = json.loads(told)
            names = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(*self.planted.answer(answer.status, names, told))

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.request("POST", path, body, **options)

    async def empty(self) -> None:
        """Wait until nobody is inside any more."""
        until = asyncio.get_running_loop().time() + self.patience_s
        while (await self.request("GET", "/healthz")).body["sessions"]:
            assert asyncio.get_running_loop().time() < until, (
                f"somebody is still inside after {self.patience_s} s"
            )
            await asyncio.sleep(0.01)


Opener = Callable[..., AbstractAsyncContextManager[House]]


@dataclass
class Scripted:
    """Answers every session with an engine of its own, and keeps them all."""

    settings: Settings
    engine: Callable[[], Any] = lambda: ServiceEngine(Script())
    engines: list[Any] = field(default_factory=list)

    def answerer(self) -> HostAnswerer:
        return HostAnswerer(self.settings, self._next)

    def _next(self, agent: Agent) -> Any:
        self.engines.append(self.engine())
        return self.engines[-1]


@asynccontextmanager
async def open_house(
    directory: Path,
    planted: Breakage | None,
    *,
    keys: EphemeralKeys | None = None,
    engine: Callable[[], Any] | None = None,
    media: Media | None = None,
    **given: Any,
) -> AsyncIterator[House]:
    """Serve with the house's key until the block is left. `media` carries calls; `given` are settings."""
    settings = at_home(directory, **({"api_key": KEY, "model_names": ("dep",)} | given))
    scripted = Scripted(settings) if engine is None else Scripted(settings, engine)
    change = None if planted is None else planted.serve
    opened = running(settings, scripted.answerer(), keys=keys, change=change, media=media)
    async with opened as server, aiohttp.ClientSession() as http:
        yield House(server, planted, http)
