"""Which deployment a conversation was with, since its prompt is in that one's cache. Knows names and ages."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

# What a service keeps of a prompt is gone after five to ten minutes without use.
KEPT_S: Final = 600.0
MOST: Final = 10_000


class Affinity:
    """The newest keys; over `most` of them the one that was used longest ago is forgotten."""

    def __init__(self, most: int = MOST, kept_s: float = KEPT_S) -> None:
        self._most, self._kept_s = most, kept_s
        self._names: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._names)

    def find(self, model: str, key: str, now: float) -> str | None:
        name, at = self._names.get((model, key), (None, 0.0))
        return name if now - at <= self._kept_s else None

    def keep(self, model: str, key: str, name: str, now: float) -> None:
        self._names[model, key] = (name, now)
        self._names.move_to_end((model, key))
        if len(self._names) > self._most:
            self._names.popitem(last=False)
