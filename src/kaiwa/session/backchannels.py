"""相槌: small words of a listener that do not ask for the floor."""

from __future__ import annotations

from collections.abc import Iterable

_NOISE = str.maketrans("", "", " \t\u3000、。，．・！？!?.,…-‐ー~〜")


class Backchannels:
    """A list of words, compared without spaces, punctuation, long marks and case."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(_bare(word) for word in words)

    def __bool__(self) -> bool:
        return bool(self._words)

    def holds(self, text: str) -> bool:
        """True when the text is nothing, one of the words, or only such words one after another."""
        bare = _bare(text)
        return self._only_words(bare)

    def _only_words(self, text: str) -> bool:
        if not text or text in self._words:
            return True
        return any(
            text.startswith(word) and self._only_words(text[len(word) :]) for word in self._words if word
        )


def _bare(text: str) -> str:
    return text.lower().translate(_NOISE)
