"""Ids of a new session at the service, and the ids its peer knows for the same things.

Works on the text of frames: an id of the service is long and drawn by chance, so it stands for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from kaiwa.events.relay import PassedFrame, UpstreamSaid

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode: Final = msgspec.json.Encoder().encode
_SHORTEST: Final = 8
_MOST: Final = 256


class Aliases:
    """Newer pairs win; of more than 256 the oldest are forgotten."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def add(self, theirs: object, known: object) -> None:
        """From now on the service's id `theirs` is `known` to the peer."""
        if not isinstance(theirs, str) or not isinstance(known, str) or theirs == known:
            return
        if len(theirs) < _SHORTEST or len(known) < _SHORTEST:
            return
        self._known = {one: other for one, other in self._known.items() if other != known}
        self._known[theirs] = known
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def forget(self, known: object) -> None:
        """The service has this by the name that the peer knows."""
        self._known = {one: other for one, other in self._known.items() if other != known}

    def theirs(self, known: str) -> str:
        """Return the service's id of what the peer knows by this one."""
        return next((one for one, other in self._known.items() if other == known), known)

    def inward(self, said: UpstreamSaid) -> UpstreamSaid:
        """Return what the service said with the ids that the peer knows."""
        text = _replaced(said, self._known)
        if text is None:
            return said
        body = None if said.body is None else _decode(text)
        return UpstreamSaid(type=said.type, event_id=said.event_id, frame=text, body=body)

    def outward(self, frame: PassedFrame) -> PassedFrame:
        """Return what the peer says with the ids of the service."""
        text = _replaced(frame, {known: theirs for theirs, known in self._known.items()})
        if text is None:
            return frame
        body = None if frame.body is None else _decode(text)
        return PassedFrame(type=frame.type, event_id=frame.event_id, frame=text, body=body)


def _replaced(frame: PassedFrame, ids: Mapping[str, str]) -> str | None:
    """Return the frame's text with other ids; None when none of them is in it."""
    if not ids:
        return None
    before = text = _encode(frame.body).decode() if frame.frame is None else frame.frame
    for old, new in ids.items():
        if old in text:
            text = text.replace(f'"{old}"', f'"{new}"')
    return None if text is before or text == before else text


def body_of(frame: PassedFrame) -> dict[str, Any]:
    """Return the JSON object of a frame."""
    return _decode(frame.frame or "{}") if frame.body is None else frame.body


def part_of(body: Mapping[str, Any] | None, key: str) -> dict[str, Any]:
    """Return the object in a frame under this key; empty when there is none."""
    value = None if body is None else body.get(key)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
