"""How a caller reaches a server: one WebSocket, several in turn for one conversation, or a call by WebRTC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidMessage

from kaiwa.testing.faults.network import BadLine
from kaiwa.testing.voice_client import Connection, Return

_CLOSE_TIMEOUT_S: Final = 1.0
_TRIES: Final = 3
_TOKEN: Final = "x-kaiwa-resume"


class Dialling:
    """`resumes`: ask for a token when dialling, and come back with it when the connection breaks. `packets`:
    the line of a call by WebRTC; None: dial a WebSocket."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, resumes: bool, packets: BadLine | None = None
    ) -> None:
        self._url, self._headers, self._resumes = url, dict(headers), resumes
        self._packets = packets
        self._token: str | None = None
        self._socket: Connection | None = None
        self._over = False

    @asynccontextmanager
    async def dialled(self) -> AsyncGenerator[Connection]:
        """Dial; hang up when the block is left. Raises OSError and InvalidHandshake."""
        if self._packets is not None:
            from kaiwa.testing.callers.phone import phoned

            async with phoned(self._url, self._headers, self._packets) as phone:
                self._socket = phone
                yield phone
            return
        socket = self._socket = await self._dial(
            with_query(self._url, resume="on") if self._resumes else self._url
        )
        if self._resumes and socket.response is not None:
            self._token = socket.response.headers.get(_TOKEN)
        try:
            yield socket
        finally:
            await self.hang_up()

    async def hang_up(self) -> None:
        """Say goodbye; nobody comes back from there, also when the goodbye itself broke off."""
        self._over = True
        if self._socket is not None:
            await self._socket.close()

    @property
    def come_back(self) -> Return | None:
        """What dials again after a break; None where the server gives no token."""
        return self._come_back if self._token else None

    async def _come_back(self, last_event_id: str) -> Connection | None:
        assert self._token is not None, "only who has a token comes back"
        url = resuming(self._url, self._token, last_event_id)
        for _ in range(_TRIES):
            if self._over:
                break
            try:
                socket = await self._dial(url)
            except (OSError, InvalidHandshake, InvalidMessage, TimeoutError):
                continue
            if not self._over:
                self._socket = socket
                return socket
            await socket.close()
        return None

    async def _dial(self, url: str) -> ClientConnection:
        return await connect(
            url,
            additional_headers=self._headers,
            max_size=None,
            compression=None,
            close_timeout=_CLOSE_TIMEOUT_S,
        )


def with_query(url: str, **more: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *more.items()])))


def resuming(url: str, token: str, last_event_id: str) -> str:
    """Return the address at which a conversation is come back to; it asks for nothing else."""
    return urlunsplit(
        urlsplit(url)._replace(query=urlencode({"resume": token, "last_event_id": last_event_id}))
    )
