"""What goes wrong with one peer's WebSocket, and with the peer: frames late, lost, put in; the end of it.

Stands between the server's socket and the application, in ASGI's words. Knows frames by their type; nothing
of conversations.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kaiwa.hub.sockets import EXTENSION, Socket
from kaiwa.testing.faults.choosing import Choice, Strikes
from kaiwa.testing.faults.late import LateLine

GARBAGE: Final = '{"type":"response.create",'
_APPEND: Final = "input_audio_buffer.append"
_TOO_LONG: Final = 15 * 1024 * 1024 * 4 // 3 + 1024  # of base64
_ABNORMAL: Final = 1006


async def disturbed_socket(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, strikes: Strikes
) -> None:
    """Serve a WebSocket with these faults between it and the application."""
    socket = _Disturbed(scope, receive, send, strikes)
    late = strikes.chosen("network-late")
    if late is None:
        await app(scope, socket.receive, socket.send)
        return
    line = LateLine(
        socket.receive, socket.send, late.number("late_ms") / 1000, late.number("jitter_ms") / 1000
    )
    await line.carry(app, scope)


class _Disturbed:
    def __init__(self, scope: Scope, receive: Receive, send: Send, strikes: Strikes) -> None:
        extensions = cast(dict[str, Any], scope.get("extensions") or {})
        self._socket: Socket | None = extensions.get(EXTENSION)
        self._receive, self._send = receive, send
        self._strikes = strikes
        self._chance = random.Random(0)
        self._put_in: deque[str] = deque()
        self._gone: Choice | None = None

    async def receive(self) -> Message:
        while True:
            if self._put_in:
                return {"type": "websocket.receive", "text": self._put_in.popleft()}
            if self._gone is not None:
                await asyncio.sleep(self._gone.number("noticed_s"))
                return {"type": "websocket.disconnect", "code": _ABNORMAL, "reason": ""}
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return message
            self._put_in.extend(self._made_up())
            self._gone = self._strikes.due("peer-gone")
            if self._gone is None and not self._loses(message):
                return message

    async def send(self, message: Message) -> None:
        if self._gone is not None:
            return
        if message["type"] != "websocket.send":
            await self._send(message)
            return
        if slow := self._strikes.chosen("network-slow-reader"):
            await asyncio.sleep(_size(message) / max(1.0, slow.number("bytes_per_s")))
        await self._send(message)
        kind = _type_of(message)
        if kind is not None and self._cut(kind) and self._socket is not None:
            self._socket.abort()

    def _cut(self, kind: str) -> bool:
        return self._strikes.due("network-cut", after=kind) is not None

    def _loses(self, message: Message) -> bool:
        lossy = self._strikes.chosen("network-loss")
        if lossy is None or _type_of(message) != _APPEND:
            return False
        return self._chance.random() < lossy.number("share")

    def _made_up(self) -> list[str]:
        """Return what comes from the peer behind this message and is not its own."""
        frames: list[str] = []
        for name, make in _FRAMES.items():
            if choice := self._strikes.due(name):
                frames += make(choice)
        return frames


def _flood(choice: Choice) -> list[str]:
    return ['{"type":"input_audio_buffer.clear"}'] * int(choice.number("count"))


def _oversize(choice: Choice) -> list[str]:
    return [json.dumps({"type": _APPEND, "audio": "A" * _TOO_LONG})]


_FRAMES: Final[dict[str, Callable[[Choice], list[str]]]] = {
    "peer-garbage": lambda choice: [GARBAGE],
    "peer-oversize": _oversize,
    "peer-flood": _flood,
}


def _size(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or "")


def _type_of(message: Message) -> str | None:
    text = message.get("text")
    if text is None or '"type"' not in text:
        return None
    try:
        return str(json.loads(text).get("type"))
    except (ValueError, AttributeError):
        return None
