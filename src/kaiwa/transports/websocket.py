"""The Realtime protocol over a WebSocket. Knows frames; the codec knows what is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from kaiwa.events.client import ClientEvent
from kaiwa.events.server import ServerEvent

_NORMAL: Final = 1000
_NO_STATUS: Final = 1005


class Codec(Protocol):
    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent: ...

    def encode_server(self, event: ServerEvent) -> str:
        """Empty when the peer's dialect has no such event."""
        ...


class WebSocketTransport:
    """An accepted WebSocket. Frame size and pings are the server's affair."""

    def __init__(
        self, socket: WebSocket, codec: Codec, ready: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """`ready` is waited for before each frame is read: while it waits, so does the peer."""
        self._socket = socket
        self._codec = codec
        self._ready = ready
        self.left = False
        """The peer said goodbye, as far as it has been read: it will not come back."""

    async def receive(self) -> AsyncIterator[ClientEvent]:
        decode = self._codec.decode_client
        while True:
            if self._ready is not None:
                await self._ready()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self.left = _is_goodbye(message)
                return
            text = message.get("text")
            yield decode(text) if text is not None else decode(message["bytes"], binary=True)

    async def send(self, event: ServerEvent) -> None:
        frame = self._codec.encode_server(event)
        if not frame:
            return
        try:
            await self._socket.send_text(frame)
        except (WebSocketDisconnect, RuntimeError) as gone:
            raise ConnectionError("the peer is gone") from gone

    async def close(self, code: int, reason: str) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            await self._socket.close(code, reason[:120])
        except (WebSocketDisconnect, RuntimeError) as gone:
            raise ConnectionError("the peer is gone") from gone


def _is_goodbye(message: MutableMapping[str, Any]) -> bool:
    """Tell a close of the peer's from a broken connection, for which uvicorn names 1005 and no reason.

    1001 is none: pages say it when they are loaded again.
    """
    code = message.get("code")
    return code == _NORMAL or (code == _NO_STATUS and "reason" in message)
