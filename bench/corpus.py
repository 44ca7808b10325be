"""The demo caller's lines as a corpus, and how far a transcript is from what was said."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from kaiwa.apps.demo.script import bundled_script, load_script, load_sound
from kaiwa.testing.caller import SpokenLine


@dataclass(frozen=True)
class Utterance:
    language: str
    text: str
    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 48_000


def utterances(language: str) -> list[Utterance]:
    path = bundled_script(language)
    return [Utterance(language, line.text, load_sound(path, line)) for line in load_script(path).lines]


def spoken_lines(language: str) -> list[SpokenLine]:
    path = bundled_script(language)
    return [SpokenLine(line.id, line.text, load_sound(path, line)) for line in load_script(path).lines]


def bare(text: str) -> str:
    """Keep letters and digits only: punctuation, case, width and blanks are not heard."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LN")


def edit_distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for line, left in enumerate(one, 1):
        diagonal, row[0] = row[0], line
        for column, right in enumerate(other, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (left != right)),
            )
    return row[-1]
