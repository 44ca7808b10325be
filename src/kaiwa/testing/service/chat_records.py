"""What became of each answer of the stand-in's chat: counted, and the newest kept for tests to read.

Knows streams as facts; knows neither sockets nor words.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Literal

from kaiwa.testing.service.records import MAX_REQUESTS, RecordedRequest

# "left": the client closed before the end; "broken": a fault ended it; "stopped": the stand-in was.
End = Literal["done", "left", "broken", "stopped"]


@dataclass(slots=True)
class RecordedStream:
    """One answer on its way. Times are of `time.monotonic`; `pieces` counts what went out of the words."""

    request: RecordedRequest
    deployment: str
    began: float = field(default_factory=time.monotonic)
    pieces: int = 0
    end: End | None = None
    ended_at: float | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def lasted_s(self) -> float | None:
        return None if self.ended_at is None else self.ended_at - self.began


class ChatRecords:
    def __init__(self) -> None:
        self.streams: deque[RecordedStream] = deque(maxlen=MAX_REQUESTS)
        self.requests: Counter[str] = Counter()
        """How many requests named each deployment, refused ones included."""
        self.ends: Counter[str] = Counter()
        self.live = 0
        self.most_live = 0

    def begin(self, request: RecordedRequest, deployment: str) -> RecordedStream:
        stream = RecordedStream(request, deployment)
        self.streams.append(stream)
        self.live += 1
        self.most_live = max(self.most_live, self.live)
        return stream

    def finish(self, stream: RecordedStream, end: End) -> None:
        """Take the end of a stream; the first one counts."""
        if stream.end is not None:
            return
        stream.end, stream.ended_at = end, time.monotonic()
        self.live -= 1
        self.ends[end] += 1
        stream.ended.set()

    @property
    def cancelled(self) -> list[RecordedStream]:
        """Those that their client left, oldest first."""
        return [stream for stream in self.streams if stream.end == "left"]

    def told(self) -> dict[str, Any]:
        """Return the counts and the kept streams as JSON values."""
        shown = [
            {
                "request": stream.request.number,
                "deployment": stream.deployment,
                "pieces": stream.pieces,
                "end": stream.end,
                "lasted_s": None if stream.lasted_s is None else round(stream.lasted_s, 4),
            }
            for stream in self.streams
        ]
        counts = {"live": self.live, "most_live": self.most_live, "ends": dict(self.ends)}
        return counts | {"requests": dict(self.requests), "streams": shown}
