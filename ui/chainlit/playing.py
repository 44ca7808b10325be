"""How far a visitor has heard an answer. Pure: the time goes in, words and milliseconds come out.

Words and sound of an answer come in turns: a clause, then its sound. Inside a clause time is spread evenly
over the letters. That is an estimate, and the one that kaiwa's console makes too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BYTES_PER_MS = 48  # PCM16, mono, 24 kHz
ON_THE_WAY_MS = 120  # from here to the visitor's ear: socket, the page's buffer, the sound card


@dataclass
class Clause:
    letters: int
    ms: float = 0


@dataclass
class Spoken:
    """The words and the sound of one item of the agent. `begins_at`: when its sound began, in seconds."""

    item_id: str
    text: str = ""
    begins_at: float | None = None
    clauses: list[Clause] = field(default_factory=list)

    @property
    def sound_ms(self) -> float:
        return sum(clause.ms for clause in self.clauses)

    def add_text(self, text: str) -> None:
        self.text += text
        if self.clauses and self.clauses[-1].ms == 0:
            self.clauses[-1].letters += len(text)
        else:
            self.clauses.append(Clause(len(text)))

    def add_sound(self, size_bytes: int) -> None:
        if not self.clauses:
            self.clauses.append(Clause(0))
        self.clauses[-1].ms += size_bytes / BYTES_PER_MS

    def heard_ms(self, now: float) -> int:
        if self.begins_at is None:
            return 0
        return int(max(0.0, min(self.sound_ms, (now - self.begins_at) * 1000)))

    def letters_heard(self, until_ms: float) -> int:
        letters, left = 0, until_ms
        for clause in self.clauses:
            if clause.ms == 0 or left <= 0:
                break
            letters += clause.letters if left >= clause.ms - 1 else int(clause.letters * left / clause.ms)
            left -= clause.ms
        return letters


class Playing:
    """What the page has been given to play, item after item, without gaps while there is enough."""

    def __init__(self) -> None:
        self._items: list[Spoken] = []
        self._ends_at = 0.0

    def give(self, item: Spoken, size_bytes: int, now: float) -> None:
        """Note that so much more sound of `item` went to the page."""
        starts_at = max(self._ends_at, now + ON_THE_WAY_MS / 1000)
        if item.begins_at is None:
            item.begins_at = starts_at
        elif starts_at > self._ends_at:
            item.begins_at += starts_at - self._ends_at  # the page ran dry for so long
        item.add_sound(size_bytes)
        self._ends_at = starts_at + size_bytes / BYTES_PER_MS / 1000
        if item not in self._items:
            self._items.append(item)

    def plays(self, now: float) -> bool:
        return now < self._ends_at

    def stop(self, now: float) -> list[Spoken]:
        """The page is silent from now on: return the items that were not heard to their end, in order."""
        cut = [item for item in self._items if item.heard_ms(now) < item.sound_ms - 1]
        self._items, self._ends_at = [], 0.0
        return cut


def struck(text: str, letters_heard: int) -> str:
    """Markdown of an answer that was cut off: what was not heard is struck through."""
    heard, unheard = text[:letters_heard], text[letters_heard:]
    if not unheard.strip():
        return text
    kept = unheard.strip()
    return f"{heard}{unheard[: len(unheard) - len(unheard.lstrip())]}~~{kept}~~"
