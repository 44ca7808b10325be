"""A loudspeaker that plays in call time: what was heard of which item, and when. Pure; no sound comes out.

Knows arrival times and sample counts. Does not know sockets or devices.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaiwa.events.value import Value

RATE_HZ = 24_000
BYTES_PER_SECOND = RATE_HZ * 2


@dataclass
class _Piece:
    item_id: str
    start_s: float
    pcm: bytes

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.pcm) / BYTES_PER_SECOND


class Heard(Value, kw_only=True):
    """How much of an item came out of the loudspeaker before it was stopped."""

    item_id: str
    heard_ms: int


class Loudspeaker:
    """Plays pieces one after another, in real time from their arrival; a late piece leaves a gap."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._free_at_s = 0.0
        self.gap_ms = 0.0

    @property
    def free_at_s(self) -> float:
        """When everything pushed so far will have been played."""
        return self._free_at_s

    def playing(self, now: float) -> bool:
        return self._free_at_s > now

    def push(self, item_id: str, pcm: bytes, now: float) -> float:
        """Queue more of an item; return when it starts to sound."""
        start_s = max(now, self._free_at_s)
        if self._pieces and self._pieces[-1].item_id == item_id:
            self.gap_ms += (start_s - self._free_at_s) * 1000
        self._pieces.append(_Piece(item_id, start_s, pcm))
        self._free_at_s = self._pieces[-1].end_s
        return start_s

    def stop(self, now: float) -> list[Heard]:
        """Fall silent; return the items that were cut off, each with what was heard of it."""
        cut = list(dict.fromkeys(piece.item_id for piece in self._pieces if piece.end_s > now))
        for piece in self._pieces:
            if piece.end_s > now:
                played_bytes = int(max(0.0, now - piece.start_s) * RATE_HZ) * 2
                piece.pcm = piece.pcm[:played_bytes]
        self._free_at_s = min(self._free_at_s, now)
        return [Heard(item_id=item_id, heard_ms=self._heard_ms(item_id)) for item_id in cut]

    def _heard_ms(self, item_id: str) -> int:
        size_bytes = sum(len(piece.pcm) for piece in self._pieces if piece.item_id == item_id)
        return size_bytes * 1000 // BYTES_PER_SECOND

    def sound(self) -> list[tuple[float, bytes]]:
        """Everything that was heard, as (start in seconds, PCM)."""
        return [(piece.start_s, piece.pcm) for piece in self._pieces if piece.pcm]
