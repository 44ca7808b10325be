"""Server-sent events as bytes, and text cut so that the simplest reader loses none of it. Pure.

Source: HTML Living Standard, 9.2.6 "Interpreting an event stream"; its reader is `upstream.sse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LINE_ENDS: Final = re.compile("\r\n|\r|\n")
_BLANK: Final = re.compile(r"\s")


def event(data: str, *, name: str | None = None, number: str | None = None) -> bytes:
    """Return one event. Line ends within the data become lines of data: a reader gets them back as \\n.

    `name` and `number` (the id) hold no line ends.
    """
    lines = [f"data: {line}" for line in _LINE_ENDS.split(data)]
    if name is not None:
        lines.insert(0, f"event: {name}")
    if number is not None:
        lines.insert(0, f"id: {number}")
    return "\n".join((*lines, "", "")).encode()


def comment(text: str = "") -> bytes:
    """Return what every reader skips: a sign of life."""
    return f": {text}\n\n".encode()


class PlainPieces:
    """Cuts running text into pieces that lose nothing when a reader trims each of them.

    Readers such as `value.split('data:')[1].trim()` take one line and drop the blanks around it. So no piece
    but a line end begins or ends with a blank: text is cut between two letters, and what has no such place
    yet waits for more.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> Iterator[str]:
        """Yield what may go out now, a line end always as a piece of its own."""
        *lines, self._held = _LINE_ENDS.split(self._held + text)
        for line in lines:
            if line:
                yield line
            yield "\n"
        ready, self._held = _cut(self._held)
        if ready:
            yield ready

    def flush(self) -> Iterator[str]:
        """Yield what was held back."""
        held, self._held = self._held, ""
        if held:
            yield held


def _cut(line: str) -> tuple[str, str]:
    """Split a line at its last place between two letters."""
    for place in range(len(line) - 1, 0, -1):
        if not _BLANK.match(line[place]) and not _BLANK.match(line[place - 1]):
            return line[:place], line[place:]
    return "", line
