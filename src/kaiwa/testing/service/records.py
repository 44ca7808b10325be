"""What the stand-in was sent and what it said, bounded, so that a test can look for what must not be there.

Knows requests and frames as they were on the wire. Judges nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

MAX_REQUESTS = 512
MAX_FRAMES = 4096
MAX_FRAME_CHARACTERS = 64 * 1024


@dataclass
class RecordedRequest:
    """One request, or the upgrade of a WebSocket. `status` is None while it is not answered."""

    number: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: str = ""
    status: int | None = None

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)


@dataclass
class RecordedSession:
    """One open or ended WebSocket with its latest frames. `ended` is set when it is over on this side."""

    request: RecordedRequest
    received: deque[str | bytes] = field(default_factory=lambda: deque[str | bytes](maxlen=MAX_FRAMES))
    sent: deque[str] = field(default_factory=lambda: deque[str](maxlen=MAX_FRAMES))
    close_code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, frame: str | bytes) -> None:
        self.received.append(frame[:MAX_FRAME_CHARACTERS])

    def give(self, frame: str) -> None:
        self.sent.append(frame[:MAX_FRAME_CHARACTERS])


class Records:
    def __init__(self) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=MAX_REQUESTS)
        self.sessions: deque[RecordedSession] = deque(maxlen=MAX_REQUESTS)
        self._count = 0

    def note(self, connection: HTTPConnection) -> RecordedRequest:
        self._count += 1
        request = RecordedRequest(
            number=self._count,
            method=connection.scope.get("method", "GET"),
            path=connection.scope["path"],
            query=tuple(connection.query_params.multi_items()),
            headers=tuple(connection.headers.items()),
        )
        self.requests.append(request)
        return request

    @property
    def count(self) -> int:
        """How many requests there have been, forgotten ones included."""
        return self._count

    def places_of(self, secret: str) -> list[str]:
        """Return where this text stands in anything that was received, as readable places."""
        found: list[str] = []
        for request in self.requests:
            where = f"{request.method} {request.path} (request {request.number})"
            for kind, pairs in (("query", request.query), ("header", request.headers)):
                found += [f"{kind} {name} of {where}" for name, value in pairs if secret in f"{name}={value}"]
            found += [f"body of {where}"] if secret in request.body else []
        for session in self.sessions:
            frames = [frame for frame in session.received if isinstance(frame, str) and secret in frame]
            found += [f"frame {frame[:80]} of request {session.request.number}" for frame in frames]
        return found
