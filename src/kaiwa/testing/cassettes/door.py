"""A server that writes its own conversations down: one cassette for each WebSocket of the Realtime API.

Stands around the whole application and sees frames only; what is said by HTTP, at hubs or as the sound of a
call does not come by here. A cassette that cannot be written never costs a caller the conversation.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kaiwa.errors import ConfigError
from kaiwa.protocol.cassette.redaction import Redactor, without_credentials
from kaiwa.protocol.cassette.tape import Opened
from kaiwa.protocol.realtime.dialects import dialect_of
from kaiwa.testing.cassettes.recorder import Recorder, Reel

log = logging.getLogger("kaiwa.server")

_REALTIME: Final = "/realtime"
_KEY_PROTOCOL: Final = "openai-insecure-api-key."
_ABNORMAL: Final = 1006
_MEBIBYTE: Final = 1024 * 1024


class Shelf:
    """A directory of cassettes with room for `files` of `max_mib` each; then nothing more is recorded.

    What is there is never removed. Raises ConfigError when the directory cannot be written.
    """

    def __init__(
        self, directory: Path, *, files: int, max_mib: int, redact: Iterable[str], keys: Iterable[str]
    ) -> None:
        self._directory = directory
        self._files = files
        self._max_bytes = max_mib * _MEBIBYTE
        self._redact = tuple(redact)
        self._keys = tuple(keys)
        self._refused = False
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            next(directory.iterdir(), None)
        except OSError as failure:
            raise ConfigError(
                "KAIWA_RECORD_DIR", f"cannot be used: {failure.strerror}.", "Name another directory."
            ) from failure

    def take(self) -> Recorder | None:
        """Return a cassette for a conversation. None, and at first a line in the log: there is no room."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        path = self._directory / f"{moment}-{secrets.token_hex(4)}.jsonl"
        try:
            if sum(1 for _ in self._directory.glob("*.jsonl")) < self._files:
                return Recorder(path, Redactor(self._redact, self._keys), max_bytes=self._max_bytes)
            reason = "the directory holds as many cassettes as KAIWA_RECORD_FILES allows"
        except (OSError, ConfigError):
            reason = "the directory cannot be written"
        if not self._refused:
            self._refused = True
            log.warning("conversations are no longer recorded", extra={"reason": reason})
        return None


class RecordedDoors:
    """ASGI middleware. Frames pass as they are, also when their cassette is full."""

    def __init__(self, app: ASGIApp, shelf: Shelf) -> None:
        self._app = app
        self._shelf = shelf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        recorder = None
        if scope["type"] == "websocket" and scope["path"].endswith(_REALTIME):
            recorder = self._shelf.take()
        if recorder is None:
            await self._app(scope, receive, send)
            return
        with recorder:
            seen = _Seen(recorder.open(_opened(scope)))

            async def heard() -> Message:
                message = await receive()
                seen.received(message)
                return message

            async def said(message: Message) -> None:
                seen.sent(message)
                await send(message)

            try:
                await self._app(scope, heard, said)
            finally:
                seen.over()


class _Seen:
    """What goes by of one WebSocket. Who closes first ends the cassette."""

    def __init__(self, reel: Reel) -> None:
        self._reel = reel
        self._ended = False
        self._broken = False

    def received(self, message: Message) -> None:
        if message["type"] == "websocket.receive":
            self._frame("client", message)
        elif message["type"] == "websocket.disconnect" and not self._ended:
            self._ended = True
            self._keep(self._reel.end, "client", message.get("code"), message.get("reason") or "")

    def sent(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            self._frame("server", message)
        elif message["type"] == "websocket.http.response.start":
            self._keep(self._reel.head, message["status"], {})
        elif message["type"] == "websocket.close" and not self._ended:
            self._ended = True
            self._keep(self._reel.end, "server", message.get("code", 1000), message.get("reason") or "")

    def over(self) -> None:
        if not self._ended:
            self._keep(self._reel.end, "server", _ABNORMAL)

    def _frame(self, by: Any, message: Message) -> None:
        text = message.get("text")
        self._keep(self._reel.frame, by, message.get("bytes", b"") if text is None else text)

    def _keep(self, write: Any, *given: Any) -> None:
        """A disk that is full is no reason to hang up."""
        if self._broken:
            return
        try:
            write(*given)
        except OSError as failure:
            self._broken = True
            log.warning("a conversation is no longer recorded", extra={"reason": failure.strerror})


def _opened(scope: Scope) -> Opened:
    offered: list[str] = list(scope.get("subprotocols", []))
    query = scope["query_string"].decode("latin-1")
    return Opened(
        at=0,
        door="websocket",
        target=without_credentials(scope["path"], query),
        dialect=dialect_of(scope["path"], QueryParams(query), Headers(scope=scope), offered),
        subprotocols=tuple(name for name in offered if not name.startswith(_KEY_PROTOCOL)),
    )
