"""One WebSocket of the stand-in: records every frame, and breaks the connection where a fault says so.

Knows frames and faults; knows nothing of what a conversation means.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from kaiwa.events import server
from kaiwa.events.client import ClientEvent
from kaiwa.testing.service.faults import Faults, fits
from kaiwa.testing.service.records import RecordedSession
from kaiwa.testing.service.sockets import wire_of
from kaiwa.transports.websocket import Codec

_MALFORMED: Final = '{"type":"response.output_text.delta","delta":"…'
_UNKNOWN: Final = {"type": "stand_in.event_nobody_knows", "detail": "put in on purpose"}
_ABNORMAL: Final = 1006


class ServiceTransport:
    """Fits `kaiwa.interfaces.Transport`. `stopping` is set when the stand-in as a whole ends."""

    def __init__(
        self,
        socket: WebSocket,
        codec: Codec,
        record: RecordedSession,
        *,
        faults: Callable[[], Faults],
        new_id: Callable[[str], str],
        stopping: asyncio.Event,
    ) -> None:
        self._socket = socket
        self._codec = codec
        self._record = record
        self._faults = faults
        self._new_id = new_id
        self._stopping = stopping
        self._read = 0
        self._struck: set[str] = set()

    async def receive(self) -> AsyncIterator[ClientEvent]:
        while True:
            limit = self._faults().read_frames
            if limit is not None and self._read >= limit:
                await self._stopping.wait()
                return
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                if self._record.close_code is None:
                    self._record.close_code = message.get("code", _ABNORMAL)
                return
            self._read += 1
            text: str | None = message.get("text")
            frame: str | bytes = message["bytes"] if text is None else text
            self._record.take(frame)
            yield self._codec.decode_client(frame, binary=text is None)

    async def send(self, event: server.ServerEvent) -> None:
        faults, event_type = self._faults(), str(type(event).__struct_config__.tag)
        if faults.late_ms:
            await self._stay_away(faults.late_ms / 1000)
        frame = self._codec.encode_server(event)
        if not frame:  # the dialect has no such event
            return
        await self._write(frame)
        await self._put_in(faults, event_type)
        await self._break(faults, event_type)

    async def close(self, code: int, reason: str) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        self._record.close_code = code
        try:
            await self._socket.close(code, reason[:120])
        except (WebSocketDisconnect, RuntimeError) as gone:
            raise ConnectionError("the peer is gone") from gone

    async def _write(self, frame: str) -> None:
        self._record.give(frame)
        try:
            await self._socket.send_text(frame)
        except (WebSocketDisconnect, RuntimeError) as gone:
            raise ConnectionError("the peer is gone") from gone

    async def _put_in(self, faults: Faults, event_type: str) -> None:
        if self._strikes("malformed", faults.malformed_after, event_type):
            await self._write(_MALFORMED)
        if self._strikes("unknown", faults.unknown_after, event_type):
            await self._write(json.dumps(_UNKNOWN | {"event_id": self._new_id("event")}))
        if self._strikes("error", faults.error_after, event_type):
            message = "The server had an error while processing your request."
            detail = server.ErrorDetail(
                type="server_error", code="server_error", message=message, param=None, event_id=None
            )
            error = server.Failed(event_id=self._new_id("event"), error=detail)
            await self._write(self._codec.encode_server(error))

    async def _break(self, faults: Faults, event_type: str) -> None:
        if self._strikes("close", faults.close_after, event_type):
            await self.close(faults.close_code, "the stand-in was told to close")
            raise ConnectionError("closed by a fault")
        if self._strikes("reset", faults.reset_after, event_type):
            self._record.close_code = _ABNORMAL
            wire_of(self._socket).reset()
            raise ConnectionError("reset by a fault")
        if self._strikes("freeze", faults.freeze_after, event_type):
            wire_of(self._socket).freeze()
            await self._stopping.wait()
            raise ConnectionError("frozen by a fault")

    def _strikes(self, name: str, pattern: str | None, event_type: str) -> bool:
        if name in self._struck or not fits(pattern, event_type):
            return False
        self._struck.add(name)
        return True

    async def _stay_away(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
