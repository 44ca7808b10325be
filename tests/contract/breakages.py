"""Breakages that are planted between server and peer, to see that a test notices them.

Each function returns a maker of one fresh breakage. A breakage maps a frame to the frames that take its
place: `to_peer` for what the server says, `from_peer` for what it is told.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

Frame = dict[str, Any]
Maker = Callable[[], "Breakage"]


class Breakage:
    """Changes nothing; what it is called says what its subclasses and makers break."""

    def to_peer(self, frame: Frame) -> list[Frame]:
        return [frame]

    def from_peer(self, frame: Any) -> list[Any]:
        return [frame]

    def to_engine(self, command: Any) -> list[Any]:
        return [command]

    def from_engine(self, event: Any) -> list[Any]:
        return [event]

    def close(self, code: int, reason: str) -> tuple[int, str]:
        return code, reason

    def answer(self, status: int, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        """Change an HTTP answer; header names are in lower case, a JSON body is decoded."""
        return status, headers, body

    def knock(
        self, path: str, headers: dict[str, str], offered: list[str]
    ) -> tuple[str, dict[str, str], list[str]]:
        """Change an upgrade request: its address, its headers, its subprotocols."""
        return path, headers, offered

    def serve(self, server: Any) -> None:
        """Change a server that is about to begin: its settings, its limits, what it remembers."""


class _Said(Breakage):
    def __init__(self, change: Callable[[Frame], list[Frame]], type: str | None, nth: int | None) -> None:
        self._change, self._type, self._nth, self._seen = change, type, nth, 0

    def to_peer(self, frame: Frame) -> list[Frame]:
        if self._type is not None and not re.fullmatch(self._type, str(frame.get("type"))):
            return [frame]
        self._seen += 1
        if self._nth is not None and self._seen != self._nth:
            return [frame]
        return self._change(copy.deepcopy(frame))


def said(change: Callable[[Frame], list[Frame]], type: str | None = None, nth: int | None = None) -> Maker:
    """Change server frames of a type (a regular expression), all or only the nth (from 1)."""
    return lambda: _Said(change, type, nth)


def drop(type: str, nth: int | None = None) -> Maker:
    """Swallow server frames."""
    return said(lambda frame: [], type, nth)


def repeat(type: str, nth: int | None = None) -> Maker:
    """Say server frames twice."""
    return said(lambda frame: [frame, copy.deepcopy(frame)], type, nth)


def put(type: str, path: str, value: Any, nth: int | None = None) -> Maker:
    """Set a value in server frames; `path` is dotted, list indexes are numbers; a callable gets the old one."""

    def change(frame: Frame) -> list[Frame]:
        holder, last = _holder(frame, path)
        holder[last] = value(holder[last]) if callable(value) else value
        return [frame]

    return said(change, type, nth)


def without(type: str, path: str, nth: int | None = None) -> Maker:
    """Remove a key from server frames."""

    def change(frame: Frame) -> list[Frame]:
        holder, last = _holder(frame, path)
        del holder[last]
        return [frame]

    return said(change, type, nth)


def insert(before: str, frame: Frame, nth: int | None = None) -> Maker:
    """Say one more frame before those of a type."""
    return said(lambda old: [copy.deepcopy(frame), old], before, nth)


_ERROR: Frame = {
    "type": "error",
    "event_id": "event_x",
    "error": {"type": "invalid_request_error", "code": "x", "message": "x", "param": "x", "event_id": None},
}


def refuse(type: str, nth: int | None = None) -> Maker:
    """Say an error in the place of server frames of a type."""
    return said(lambda old: [copy.deepcopy(_ERROR)], type, nth)


def complain(before: str, nth: int | None = None) -> Maker:
    """Say an error although nothing is wrong."""
    return insert(before, _ERROR, nth)


def delay(type: str, until: str) -> Maker:
    """Hold back server frames of a type until the next frame of another type was said."""
    return lambda: _Delay(type, until)


class _Delay(Breakage):
    def __init__(self, type: str, until: str) -> None:
        self._type, self._until, self._held = type, until, []

    def to_peer(self, frame: Frame) -> list[Frame]:
        if re.fullmatch(self._type, frame["type"]):
            self._held.append(frame)
            return []
        if re.fullmatch(self._until, frame["type"]):
            held, self._held = self._held, []
            return [frame, *held]
        return [frame]


def told(change: Callable[[Any], list[Any]], type: str | None = None) -> Maker:
    """Change what the server is told: a rule it then cannot keep. `type` is a regular expression."""

    class Told(Breakage):
        def from_peer(self, frame: Any) -> list[Any]:
            fits = type is None or (isinstance(frame, dict) and re.fullmatch(type, str(frame.get("type"))))
            return change(copy.deepcopy(frame)) if fits else [frame]

    return Told


def unheard(type: str) -> Maker:
    """The server never gets the client's frames of a type."""
    return told(lambda frame: [], type)


def told_with(type: str, path: str, value: Any) -> Maker:
    """Set a value in the client's frames of a type."""

    def change(frame: Frame) -> list[Frame]:
        holder, last = _holder(frame, path)
        holder[last] = value(holder.get(last)) if callable(value) else value
        return [frame]

    return told(change, type)


def told_without(type: str, path: str) -> Maker:
    """Remove a key from the client's frames of a type."""

    def change(frame: Frame) -> list[Frame]:
        holder, last = _holder(frame, path)
        del holder[last]
        return [frame]

    return told(change, type)


def asked(change: Callable[[Any], list[Any]], kind: type) -> Maker:
    """Change what the server asks of its engine: commands of a kind."""

    class Asked(Breakage):
        def to_engine(self, command: Any) -> list[Any]:
            return change(command) if isinstance(command, kind) else [command]

    return Asked


def answered(change: Callable[[Any], list[Any]], kind: type) -> Maker:
    """Change what the server hears of its engine: events of a kind."""

    class Answered(Breakage):
        def from_engine(self, event: Any) -> list[Any]:
            return change(event) if isinstance(event, kind) else [event]

    return Answered


def closing(code: int, reason: str = "") -> Maker:
    """Close with another code and reason."""

    class Closing(Breakage):
        def close(self, _code: int, _reason: str) -> tuple[int, str]:
            return code, reason

    return Closing


def answering(status: int | None = None, **changes: Any) -> Maker:
    """Change an HTTP answer: its status, or values at paths of its body (dots written as `__`)."""

    class Answering(Breakage):
        def answer(self, old: int, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
            body = copy.deepcopy(body)
            for path, value in changes.items():
                holder, last = _holder(body, path.replace("__", "."))
                holder[last] = value
            return old if status is None else status, headers, body

    return Answering


def knocking(
    change: Callable[[str, dict[str, str], list[str]], tuple[str, dict[str, str], list[str]]],
) -> Maker:
    """Change the upgrade requests that the server gets."""

    class Knocking(Breakage):
        def knock(
            self, path: str, headers: dict[str, str], offered: list[str]
        ) -> tuple[str, dict[str, str], list[str]]:
            return change(path, headers, offered)

    return Knocking


def serving(change: Callable[[Any], None]) -> Maker:
    """Change the server before it begins."""

    class Serving(Breakage):
        def serve(self, server: Any) -> None:
            change(server)

    return Serving


def _holder(frame: Any, path: str) -> tuple[Any, Any]:
    *way, last = [int(step) if step.lstrip("-").isdigit() else step for step in path.split(".")]
    for step in way:
        frame = frame[step]
    return frame, last
