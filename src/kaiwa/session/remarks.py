"""What the agent says of running calls without a model: interim answers, and a word that bridges a silence.

Knows when a remark is due, as far as it is told of calls and silence; not who has the floor.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, cast

_KEPT = 32
_MARK: Final = {"kaiwa": "remark"}


@dataclass(frozen=True, slots=True)
class Remark:
    """`passing`: it is no part of what a model reads. `about`: a word for what makes the agent say it."""

    text: str
    passing: bool
    about: str = ""

    @property
    def metadata(self) -> dict[str, Any]:
        """Return what marks the response that says it."""
        return marked(self.about)


def marked(about: str = "") -> dict[str, Any]:
    """Return the metadata of a response in which the agent says something on its own account."""
    return {**_MARK, "about": about} if about else dict(_MARK)


def is_remark(metadata: object) -> bool:
    return isinstance(metadata, dict) and cast("dict[str, Any]", metadata).get("kaiwa") == _MARK["kaiwa"]


class Remarks:
    """`filler_s` None, or no words: silences stay silent."""

    def __init__(self, filler_s: float | None, filler: str) -> None:
        self._filler_s = filler_s if filler else None
        self._filler = filler
        self._waiting: deque[tuple[str, Remark]] = deque(maxlen=_KEPT)
        self._filler_at: float | None = None

    def add(self, call_id: str, text: str) -> None:
        """Keep an interim answer. Full: the oldest is dropped."""
        self._waiting.append((call_id, Remark(text, passing=False)))

    def say(self, text: str, about: str) -> None:
        """Keep something that is of no call, and of no interest to a model."""
        self._waiting.append(("", Remark(text, passing=True, about=about)))

    def drop(self, call_id: str) -> None:
        """The call is over: what it said on the way is out of date."""
        self._waiting = deque((one for one in self._waiting if one[0] != call_id), maxlen=_KEPT)

    def silent_from(self, moment: float) -> None:
        """Calls run, and nobody has said so."""
        if self._filler_s is not None:
            self._filler_at = moment + self._filler_s

    def broken(self) -> None:
        """Somebody speaks, or nothing is waited for any more."""
        self._filler_at = None

    def due_at(self) -> float | None:
        return 0.0 if self._waiting else self._filler_at

    def take(self, now: float) -> Remark | None:
        if self._waiting:
            self._filler_at = None
            return self._waiting.popleft()[1]
        if self._filler_at is not None and self._filler_at <= now:
            self._filler_at = None
            return Remark(self._filler, passing=True)
        return None
