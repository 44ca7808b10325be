"""When nobody has spoken for long, where the peer wants that to be answered (idle_timeout_ms)."""

from __future__ import annotations

from kaiwa.events.config import ServerVad, TurnDetection


class Silence:
    def __init__(self) -> None:
        self._due_at: float | None = None
        self._lasting_ms = 0

    @property
    def due_at(self) -> float | None:
        """When the present silence is to be answered."""
        return self._due_at

    def begins(self, detection: TurnDetection | None, at: float) -> None:
        if isinstance(detection, ServerVad) and detection.idle_timeout_ms is not None:
            self._lasting_ms = detection.idle_timeout_ms
            self._due_at = at + self._lasting_ms / 1000

    def broken(self) -> None:
        """Somebody speaks, or is about to."""
        self._due_at = None

    def passed(self, now: float) -> int | None:
        """End a silence that is to be answered by now, and return how many milliseconds it lasted."""
        if self._due_at is None or now < self._due_at:
            return None
        self._due_at = None
        return self._lasting_ms
