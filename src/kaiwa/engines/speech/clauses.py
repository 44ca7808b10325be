"""Cut an answer into pieces that can be spoken one by one. Knows punctuation; knows no voice.

The first piece is short, because the caller waits for it; later ones are long enough for a good melody.
A cut is decided by what stands before it and the next character alone, so cutting a growing text gives the
same pieces as cutting the whole.
"""

from __future__ import annotations

import re
from typing import Final

from kaiwa.engines.speech.japanese import count_morae, is_japanese

_ENDERS: Final = frozenset("。！？!?\n")
_CLOSERS: Final = frozenset("」』）)】”\"'’。！？!?\n \u3000")
_COMMAS: Final = frozenset("、，")
_MARKS_EN: Final = frozenset(",;:")
_ABBREVIATION: Final = re.compile(r"(?:^|[\s(])(?:Mr|Mrs|Ms|Dr|St|No|vs|e\.g|i\.e|approx|[A-Z])\.$")
_PARTICLE: Final = re.compile(r"[\u4e00-\u9fff\u30a0-\u30ff0-9](?:では|には|から|まで|は|で|に|を|が)$")
_NEW_WORD: Final = re.compile(r"[\u4e00-\u9fff\u30a0-\u30ff0-9A-Z]")
_FIRST_PARTICLE_MORAE: Final = 6
_LATER_COMMA_MORAE: Final = 14
_LATER_COMMA_WORDS: Final = 6


def split_clauses(text: str, language: str | None = None) -> list[str]:
    """Return the pieces in order; joined they are the text. `language` None: told by the script.

    The first Japanese piece has about 10 morae at most where a natural cut allows it.
    """
    splitter = ClauseSplitter(language or ("ja" if is_japanese(text) else "en"))
    return splitter.feed(text) + splitter.flush()


class ClauseSplitter:
    """Cuts the text of one answer while it grows."""

    def __init__(self, language: str) -> None:
        self._must_cut = _cuts_japanese if language == "ja" else _cuts_english
        self._open = ""
        self._first = True

    def feed(self, delta: str) -> list[str]:
        """Return the pieces that are complete now that more text has come."""
        done: list[str] = []
        for char in delta:
            if self._open.strip() and self._must_cut(self._open, char, self._first):
                done.append(self._open)
                self._open = ""
                self._first = False
            self._open += char
        return done

    def flush(self) -> list[str]:
        """Return what is left at the end of the answer."""
        rest, self._open = self._open, ""
        return [rest] if rest else []


def _cuts_japanese(before: str, following: str, first: bool) -> bool:
    if following in _CLOSERS or following in _COMMAS:
        return False
    said = before.rstrip("」』）)】”\"'’ \u3000")
    last = said[-1:] if said else ""
    if last in _ENDERS:
        return True
    if before[-1] in _COMMAS:
        return first or count_morae(before) >= _LATER_COMMA_MORAE
    return (
        first
        and _NEW_WORD.match(following) is not None
        and count_morae(before) >= _FIRST_PARTICLE_MORAE
        and _PARTICLE.search(before) is not None
    )


def _cuts_english(before: str, following: str, first: bool) -> bool:
    if following.isspace() or not (before[-1].isspace() or before[-1] in _ENDERS):
        return False
    said = before.rstrip().rstrip("\"')”’")
    last = said[-1:]
    if last in _ENDERS:
        return following not in _CLOSERS
    if last == ".":
        return _ABBREVIATION.search(said) is None
    return last in _MARKS_EN and (first or len(before.split()) >= _LATER_COMMA_WORDS)
