"""While the peer's connection is broken: nothing new is said, and what was left unsaid is owed.

Knows whether the peer is here and whether a response is owed to it; starts none.
"""

from __future__ import annotations

from typing import Final

# Put behind the instructions of the response that goes on where the connection broke.
GO_ON: Final = (
    "The connection was lost while you were speaking and is back now. The caller has heard your last message "
    "as far as it goes and nothing after it. Go on from there, without repeating what was heard and without "
    "greeting again."
)


class Absence:
    def __init__(self) -> None:
        self.away = False
        self._owed = False
        self._cut_off = False

    def begin(self, *, cut_off: bool) -> None:
        """The peer is gone for now. `cut_off`: an answer was on its way that it will not hear."""
        self.away = True
        self._cut_off = self._cut_off or cut_off

    def owe(self) -> None:
        """A response was to begin that nobody would hear."""
        self._owed = True

    def end(self) -> tuple[bool, bool]:
        """The peer is back: return whether a response is owed, and whether it goes on with one cut off."""
        owed, cut_off = self._owed or self._cut_off, self._cut_off and not self._owed
        self.away = self._owed = self._cut_off = False
        return owed, cut_off
