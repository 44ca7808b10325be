"""Words that come a second time: an answer asked for again may begin with what was told of it already.

Knows text alone. The second answer goes on behind what was kept, or repeats what was told, or is another.
"""

from __future__ import annotations

from typing import Literal

Verdict = Literal["open", "goes on", "repeats", "differs"]


class Overlap:
    """`told`: the words that were told. `kept`: how far the one who answers knows them to be heard."""

    def __init__(self, told: str, kept: str) -> None:
        self._told = told.strip()
        tail = told[len(kept) :] if told.startswith(kept) else told
        self._tail = tail.strip()
        self._spaced = told[-1:].isspace()
        self._held = ""
        self.verdict: Verdict = "open" if self._told else "goes on"

    def push(self, text: str) -> str:
        """Take more of the second answer; return what of it is new."""
        if self.verdict != "open":
            return self._behind(text)
        self._held += text
        words = self._held.lstrip()
        if words.startswith(self._told):
            return self._decide("repeats", self._behind(words[len(self._told) :]))
        if self._told.startswith(words):
            return ""
        if self._tail and words.startswith(self._tail):
            return self._decide("goes on", self._behind(words[len(self._tail) :]))
        if self._tail.startswith(words):
            return ""
        return self._decide("goes on" if not self._tail else "differs", self._behind(self._held))

    def finish(self) -> str:
        """Return what is held back when nothing more comes: told already, unless it stopped short."""
        if self.verdict != "open":
            return ""
        words = self._held.strip()
        if self._tail and words.startswith(self._tail):
            return self._decide("goes on", words[len(self._tail) :])
        return self._decide("goes on" if not words else "differs", "")

    def _behind(self, fresh: str) -> str:
        """Return words that follow what was told, with one space between."""
        if self._spaced:
            fresh = fresh.lstrip()
            self._spaced = not fresh
        return fresh

    def _decide(self, verdict: Verdict, fresh: str) -> str:
        self.verdict, self._held = verdict, ""
        return fresh
