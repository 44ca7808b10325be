"""Estimate what a listener has heard of the audio sent to them.

Knows durations, item ids and the `now` it is given (monotonic seconds); knows no samples. The listener is
taken to play without a break from the moment audio arrives, and to wait in silence when it runs out. Used
for truncation (what was heard of an item), for the idle timeout and to know whether a barge-in cuts
something off.
"""

from __future__ import annotations


class PlayoutClock:
    """The listener's end of a stream of audio items, sent faster than they can be played."""

    def __init__(self) -> None:
        self._now: float | None = None
        self._paused = False
        self._played_ms = 0.0
        self._sent_ms = 0.0
        # Pieces of each item on the line of all audio sent: start and end.
        self._pieces: dict[str, list[tuple[float, float]]] = {}

    def sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """Note that more audio of an item went out."""
        self._advance(now)
        pieces = self._pieces.setdefault(item_id, [])
        end = self._sent_ms + duration_ms
        if pieces and pieces[-1][1] == self._sent_ms:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((self._sent_ms, end))
        self._sent_ms = end

    def heard_ms(self, item_id: str, now: float) -> float:
        """Return how much of an item has been played; 0 for an item never sent."""
        self._advance(now)
        pieces = self._pieces.get(item_id, [])
        return sum(max(min(self._played_ms, end) - start, 0.0) for start, end in pieces)

    def sent_ms(self, item_id: str) -> float:
        """Return how much of an item was sent and not cleared."""
        return sum(end - start for start, end in self._pieces.get(item_id, []))

    def remaining_ms(self, now: float) -> float:
        """Return how much audio still waits to be heard."""
        self._advance(now)
        return self._sent_ms - self._played_ms

    def playing(self, now: float) -> str | None:
        """Return the item that is sounding (or held by a pause), or None in silence."""
        self._advance(now)
        if self._played_ms >= self._sent_ms:
            return None
        # What sounds now was sent lately.
        for item_id, pieces in reversed(self._pieces.items()):
            if any(start <= self._played_ms < end for start, end in pieces):
                return item_id
        return None

    def silent_at(self, now: float) -> float | None:
        """Return the `now` at which everything sent will have been heard, or None while paused."""
        self._advance(now)
        if self._paused:
            return None
        return now + (self._sent_ms - self._played_ms) / 1000

    def pause(self, now: float) -> None:
        """Stop playing until `resume`; what was sent is kept."""
        self._advance(now)
        self._paused = True

    def resume(self, now: float) -> None:
        self._advance(now)
        self._paused = False

    def skip(self, now: float) -> None:
        """Take all that was sent as heard."""
        self._advance(now)
        self._played_ms = self._sent_ms

    def again(self, item_id: str, duration_ms: float, now: float) -> None:
        """Note that the last part of an item goes out once more, to be heard for the first time."""
        pieces, left_ms = self._pieces.get(item_id, []), duration_ms
        while pieces and left_ms > 0:
            start, end = pieces.pop()
            if end - start > left_ms:
                pieces.append((start, end - left_ms))
            left_ms -= end - start
        self.sent(item_id, duration_ms, now)

    def clear(self, now: float) -> None:
        """Forget what has not been heard; also ends a pause."""
        self._advance(now)
        heard = self._played_ms
        for item_id, pieces in self._pieces.items():
            self._pieces[item_id] = [(start, min(end, heard)) for start, end in pieces if start < heard]
        self._sent_ms = heard
        self._paused = False

    def forget(self, item_id: str) -> None:
        """Drop the account of an item that will not be asked for again."""
        self._pieces.pop(item_id, None)

    def _advance(self, now: float) -> None:
        if self._now is not None and not self._paused and now > self._now:
            self._played_ms = min(self._sent_ms, self._played_ms + (now - self._now) * 1000)
        if self._now is None or now > self._now:
            self._now = now
