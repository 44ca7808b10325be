"""The WebSocket to kaiwa: one Realtime session by the public protocol. Knows refusals, not talk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

OPEN_TIMEOUT_S = 10
MOST_BYTES = 24 * 1024 * 1024
Event = dict[str, Any]


class LineError(Exception):
    """kaiwa cannot be reached, or does not let us in; `code` as on the wire, or `unreachable`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Line:
    """An open session. `send` keeps the order of its callers."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._sending = asyncio.Lock()

    @property
    def open(self) -> bool:
        return self._socket.close_code is None

    async def send(self, event: Event) -> None:
        """Send one event; a line that broke is silent, since `events` tells."""
        try:
            async with self._sending:
                await self._socket.send(json.dumps(event, ensure_ascii=False))
        except ConnectionClosed:
            return

    async def events(self) -> AsyncIterator[Event]:
        """Give events until the line ends."""
        try:
            async for frame in self._socket:
                yield json.loads(frame)
        except ConnectionClosed:
            return

    async def close(self) -> None:
        await self._socket.close()


async def dial(kaiwa: str, agent: str, key: str | None) -> Line:
    """Open a session with `agent`. Raises LineError."""
    url = f"{kaiwa}/v1/realtime?model={quote(agent)}&kaiwa_events=on"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        socket = await connect(
            url, additional_headers=headers, max_size=MOST_BYTES, open_timeout=OPEN_TIMEOUT_S, proxy=None
        )
        first = json.loads(await asyncio.wait_for(socket.recv(), OPEN_TIMEOUT_S))
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise LineError("unreachable", type(error).__name__) from error
    if first["type"] == "error":
        await socket.close()
        raise LineError(first["error"].get("code") or "refused", first["error"]["message"])
    return Line(socket)
