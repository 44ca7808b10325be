"""What came of looking at something that a server needs: well, a warning, or a failure with its remedy.

Words for whoever sets a server up, in two languages. They name settings and files and never hold a secret.
"""

from __future__ import annotations

from typing import Literal

from kaiwa.events.value import Value

State = Literal["ok", "warning", "failure"]


class Words(Value, frozen=True):
    """The same in English and Japanese; what has no Japanese is said in English alone."""

    english: str
    japanese: str = ""

    def __add__(self, other: Words) -> Words:
        english = f"{self.english} {other.english}".strip()
        return Words(english, f"{self.japanese} {other.japanese}".strip())


NOTHING = Words("")


class Examined(Value, frozen=True):
    """`warning`: a server runs without it, or not as well. `remedy` is empty when nothing has to be done."""

    state: State
    detail: Words
    remedy: Words = NOTHING


def well(english: str, japanese: str = "") -> Examined:
    return Examined("ok", Words(english, japanese))


def warning(detail: tuple[str, str], remedy: tuple[str, str]) -> Examined:
    return Examined("warning", Words(*detail), Words(*remedy))


def failure(detail: tuple[str, str], remedy: tuple[str, str]) -> Examined:
    return Examined("failure", Words(*detail), Words(*remedy))
