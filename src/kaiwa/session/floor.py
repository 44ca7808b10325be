"""Who may speak: what the peer still hears of us.

`now` is wall time in seconds. `generating` is set while a response that was already audible goes on.
"""

from __future__ import annotations

from kaiwa.audio.playout import PlayoutClock


class Floor:
    def __init__(self) -> None:
        self._clock = PlayoutClock()
        self._items: list[str] = []
        self.generating = False
        self._until = 0.0

    def sent(self, item_id: str, audio_ms: float, now: float) -> None:
        """Note that this much audio of the item went out."""
        self._keep(item_id)
        self._clock.sent(item_id, audio_ms, now)
        self._until = max(self._until, now) + audio_ms / 1000

    def skip(self, now: float) -> None:
        """Take all that was sent as heard."""
        self._clock.skip(now)
        self._until = min(self._until, now)

    def again(self, item_id: str, audio_ms: float, now: float) -> None:
        """Note that the last part of an item goes out once more, to be heard for the first time."""
        self._keep(item_id)
        self._clock.again(item_id, audio_ms, now)
        self._until = max(self._until, now) + audio_ms / 1000

    def _keep(self, item_id: str) -> None:
        if not self._items or self._items[-1] != item_id:
            self._items.append(item_id)
            while len(self._items) > 8:
                self._clock.forget(self._items.pop(0))

    def silence(self, now: float) -> None:
        """The peer stopped playing."""
        self._clock.clear(now)
        self._until = min(self._until, now)

    @property
    def until(self) -> float:
        """When everything sent so far will have been played."""
        return self._until

    def audible(self, now: float) -> bool:
        return self.generating or now < self._until

    def audible_beyond(self, moment: float, now: float) -> bool:
        """True when, as far as is known `now`, the agent is heard now and will be after that moment."""
        return self.generating or (now < self._until and moment < self._until)

    def heard_ms(self, item_id: str, now: float) -> int:
        """Return how much of the item's audio the peer has heard."""
        return int(self._clock.heard_ms(item_id, now))

    @property
    def latest(self) -> list[str]:
        """The item of which audio was sent last; empty before any was."""
        return self._items[-1:]

    def unheard_since(self, moment: float) -> list[tuple[str, int]]:
        """Return the items not heard to their end by then, oldest first, and how much of each was."""
        left_ms, cut_off = (self._until - moment) * 1000, list[tuple[str, int]]()
        for item_id in reversed(self._items):
            if left_ms <= 0:
                break
            sent_ms = self._clock.sent_ms(item_id)
            cut_off.append((item_id, int(max(0.0, sent_ms - left_ms))))
            left_ms -= sent_ms
        return cut_off[::-1]

    def sounding(self, now: float) -> list[str]:
        """Return the items that were sent and not heard to their end, oldest first."""
        if now >= self._until:
            return []
        return [
            item_id
            for item_id in self._items
            if self._clock.heard_ms(item_id, now) < self._clock.sent_ms(item_id)
        ]
