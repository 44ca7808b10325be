"""A script's answers as pieces with their pauses, cut at the client's limit of tokens: a piece is a token.

Knows the script and the habits; knows no wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kaiwa.testing.service.chat_habits import Habits
from kaiwa.testing.service.script import Answer, Call, Fail, Say

_WORD: Final = re.compile(r"\s*\S{1,12}\s*")
_ARGUMENT_CHARACTERS: Final = 12
_FILLING: Final = "The quick stand-in tells the same words again and again, as many as were asked for. "


class Piece(NamedTuple):
    """Words, or with `call` the arguments of a call; the first piece of a call has its name."""

    text: str
    pause_s: float
    call: int | None = None
    name: str | None = None


class Cut(NamedTuple):
    """`finish` is how an answer ends, `failure` what broke it instead."""

    pieces: list[Piece]
    finish: str
    failure: Fail | None = None

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces if piece.call is None)


def cut(answers: Sequence[Answer], habits: Habits, limit: int | None) -> Cut:
    """Return the pieces of these answers, up to `limit`."""
    if habits.chunks is not None:
        answers = (Say(text=_filling(habits)),)
    pieces: list[Piece] = []
    failure = next((answer for answer in answers if isinstance(answer, Fail)), None)
    calls = 0
    for answer in answers:
        if isinstance(answer, Fail):
            break
        if isinstance(answer, Say):
            pieces += _words(answer, habits)
        else:
            pieces += _call(answer, calls, habits)
            calls += 1
    if limit is not None and len(pieces) > limit:
        return Cut(pieces[:limit], "length")
    if failure is not None and failure.code in ("content_filter", "length"):
        return Cut(pieces, failure.code)
    return Cut(pieces, "tool_calls" if calls else "stop", failure)


def _words(answer: Say, habits: Habits) -> Iterator[Piece]:
    size = habits.chunk_characters
    found = re.findall(rf".{{1,{size}}}", answer.text, re.DOTALL) if size else _WORD.findall(answer.text)
    for number, text in enumerate(found):
        yield Piece(text, _pause_s(habits, answer.delay_ms, answer.pace_ms, number))


def _call(answer: Call, index: int, habits: Habits) -> Iterator[Piece]:
    arguments = answer.arguments
    yield Piece("", _pause_s(habits, answer.delay_ms, 0, 0), index, answer.name)
    for start in range(0, len(arguments), _ARGUMENT_CHARACTERS):
        text = arguments[start : start + _ARGUMENT_CHARACTERS]
        yield Piece(text, _pause_s(habits, 0, 0, 1), index)


def _pause_s(habits: Habits, delay_ms: int, pace_ms: int, number: int) -> float:
    pace_s = 1 / habits.chunks_per_s if habits.chunks_per_s else pace_ms / 1000
    return pace_s if number else max(delay_ms / 1000, pace_s if habits.chunks_per_s else 0)


def _filling(habits: Habits) -> str:
    """Return words for so many chunks: of the asked size, or one word each."""
    assert habits.chunks is not None, "filling is asked for by a count of chunks"
    if habits.chunk_characters:
        wanted = habits.chunks * habits.chunk_characters
        return (_FILLING * (wanted // len(_FILLING) + 1))[:wanted]
    return "word " * habits.chunks
