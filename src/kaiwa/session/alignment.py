"""Which words were heard when the audio of a part stopped at a given moment."""

from __future__ import annotations


class Alignment:
    """The order in which words and audio of one part were produced.

    A clause is some text followed by its audio; inside a clause time is spread evenly over its characters.
    """

    def __init__(self) -> None:
        self._clauses: list[tuple[str, float]] = []
        self.audio_ms = 0.0

    def add_text(self, text: str) -> None:
        if self._clauses and self._clauses[-1][1] == 0.0:
            self._clauses[-1] = (self._clauses[-1][0] + text, 0.0)
        else:
            self._clauses.append((text, 0.0))

    def add_audio(self, audio_ms: float) -> None:
        self.audio_ms += audio_ms
        if self._clauses:
            text, so_far_ms = self._clauses[-1]
            self._clauses[-1] = (text, so_far_ms + audio_ms)
        else:
            self._clauses.append(("", audio_ms))

    def heard(self, until_ms: float) -> str:
        """Return the words said before `until_ms`; a word of Latin letters is heard whole or not at all."""
        words: list[str] = []
        left_ms = until_ms
        for text, clause_ms in self._clauses:
            if clause_ms == 0.0 or left_ms <= 0:
                break
            if left_ms < clause_ms:
                words.append(_whole_words(text, int(len(text) * left_ms / clause_ms)))
                break
            words.append(text)
            left_ms -= clause_ms
        return "".join(words)


def _whole_words(text: str, cut: int) -> str:
    while 0 < cut < len(text) and _latin(text[cut]) and _latin(text[cut - 1]):
        cut -= 1
    return text[:cut]


def _latin(char: str) -> bool:
    return char.isascii() and char.isalnum()
