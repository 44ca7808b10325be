"""When a frame that came is the one that was recorded, and how to tell that it is not.

Knows what may differ: ids that the other side makes up itself, and what the rules name. The first use of such
an id binds it to the recorded one; from then on they stand for each other, in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, cast

import msgspec

from kaiwa.protocol.cassette.redaction import Redactor, is_id_field

AudioRule = Literal["exact", "amount", "any"]
AUDIO_RULES: Final[tuple[AudioRule, ...]] = ("exact", "amount", "any")
_SHOWN: Final = 60
_MOST_SHOWN: Final = 6
_OPTIONAL: Final = frozenset({"event_id"})
_ID_TEXT: Final = re.compile(r'"(?:\w+_)?id"\s*:\s*"([^"]+)"')
_MISSING: Final = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Matching:
    """What may differ.

    `ignore`: paths within a frame, such as `session.instructions` or `response.metadata.*`. `near`: numbers
    that may be off by so much. `audio`: the appended sound must be equal, as long, or is not looked at.
    `only`: patterns of types that count (empty: all); `types_only`: of a frame nothing but its type counts.
    `patience_s`: how long the other side may take for what is due.
    """

    ignore: tuple[str, ...] = ()
    near: Mapping[str, float] = field(default_factory=lambda: {"audio_end_ms": 300})
    audio: AudioRule = "exact"
    only: tuple[str, ...] = ()
    types_only: bool = False
    patience_s: float = 10.0

    def counts(self, kind: str) -> bool:
        return not self.only or any(fnmatchcase(kind, pattern) for pattern in self.only)


STRICT: Final = Matching()
# What a live server must have done before a recorded caller goes on.
LIVE: Final = Matching(
    audio="any",
    only=("session.created", "session.updated", "response.done"),
    types_only=True,
    patience_s=60.0,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in a frame. An absent value is UNSET."""

    path: str
    recorded: Any
    came: Any

    def __str__(self) -> str:
        return f"{self.path or 'the frame'}: recorded {_shown(self.recorded)}, came {_shown(self.came)}"


class Names:
    """Ids of the other side: recorded and real. `own` are ids that the cassette itself gave it."""

    def __init__(self, own: set[str]) -> None:
        self._own = own
        self._real: dict[str, str] = {}
        self._recorded: dict[str, str] = {}

    def fit(self, recorded: str, came: str) -> bool:
        """Tell whether two ids are the same one; binds a pair that is new."""
        if recorded in self._real or came in self._recorded:
            return self._real.get(recorded) == came
        if recorded in self._own and recorded != came:
            return False
        self._real[recorded], self._recorded[came] = came, recorded
        return True

    def learn(self, recorded: Any, came: Any) -> None:
        """Bind the ids that stand at the same places of two frames, wherever they may be bound."""
        if isinstance(recorded, dict) and isinstance(came, dict):
            ours, theirs = cast(dict[str, Any], recorded), cast(dict[str, Any], came)
            for name in ours.keys() & theirs.keys():
                one, other = ours[name], theirs[name]
                if isinstance(one, str) and isinstance(other, str):
                    if is_id_field(name):
                        self.fit(one, other)
                else:
                    self.learn(one, other)
        elif isinstance(recorded, list) and isinstance(came, list):
            for one, other in zip(cast(list[Any], recorded), cast(list[Any], came), strict=False):
                self.learn(one, other)

    def real(self, frame: str) -> str:
        """Return a recorded frame with the ids that the other side really uses."""
        for recorded, real in self._real.items():
            if recorded != real and recorded in frame:
                frame = frame.replace(f'"{recorded}"', f'"{real}"')
        return frame


def ids_in(frame: str) -> set[str]:
    return set(_ID_TEXT.findall(frame))


class Matcher:
    """Compares frames by the rules. `redacted` are the kinds that were blackened in the cassette."""

    def __init__(self, rules: Matching, names: Names, redacted: tuple[str, ...] = ()) -> None:
        self._rules = rules
        self._names = names
        # Ids are bound by the names, whatever they look like.
        self._redactor = Redactor(kind for kind in redacted if kind != "ids")

    def differences(self, recorded: str | bytes, came: str | bytes) -> list[Difference]:
        """Return where they differ, at most six places; nothing: they match."""
        if recorded == came:
            return []
        if isinstance(recorded, bytes) or isinstance(came, bytes):
            return [Difference("", recorded, came)]
        try:
            one: object = msgspec.json.decode(recorded)
            other: object = msgspec.json.decode(self._redactor.frame(came))
        except msgspec.DecodeError:
            return [Difference("", recorded, came)]
        if self._rules.types_only:
            return self._types(one, other)
        found: list[Difference] = []
        for difference in self._walk("", "", one, other):
            found.append(difference)
            if len(found) == _MOST_SHOWN:
                break
        return found

    def _types(self, one: object, other: object) -> list[Difference]:
        kinds = [
            cast(dict[str, Any], frame).get("type") if isinstance(frame, dict) else None
            for frame in (one, other)
        ]
        if kinds[0] == kinds[1]:
            self._names.learn(one, other)
            return []
        return [Difference("type", *kinds)]

    def _walk(self, path: str, name: str, one: Any, other: Any) -> Iterator[Difference]:
        if path and any(fnmatchcase(path, pattern) for pattern in self._rules.ignore):
            return
        if isinstance(one, dict) and isinstance(other, dict):
            yield from self._walk_fields(path, cast(dict[str, Any], one), cast(dict[str, Any], other))
        elif isinstance(one, list) and isinstance(other, list):
            ours, theirs = cast(list[Any], one), cast(list[Any], other)
            for index in range(max(len(ours), len(theirs))):
                left = ours[index] if index < len(ours) else _MISSING
                right = theirs[index] if index < len(theirs) else _MISSING
                yield from self._walk(f"{path}[{index}]", name, left, right)
        elif not self._same(name, one, other):
            yield Difference(path, one, other)

    def _walk_fields(self, path: str, one: dict[str, Any], other: dict[str, Any]) -> Iterator[Difference]:
        # What decides most comes first, so that the first difference told is the telling one.
        names = sorted(
            {*one, *other}, key=lambda name: (name != "type", list(one).index(name) if name in one else 99)
        )
        for name in names:
            inner = f"{path}.{name}" if path else name
            yield from self._walk(inner, name, one.get(name, _MISSING), other.get(name, _MISSING))

    def _same(self, name: str, one: Any, other: Any) -> bool:
        if name in _OPTIONAL and (one is _MISSING or other is _MISSING):
            return True
        if is_id_field(name) and isinstance(one, str) and isinstance(other, str):
            return self._names.fit(one, other)
        near = self._rules.near.get(name)
        if near is not None and isinstance(one, int | float) and isinstance(other, int | float):
            return abs(one - other) <= near
        if name in ("arguments", "output") and isinstance(one, str) and isinstance(other, str):
            return one == other or _same_json(one, other)
        return type(one) is type(other) and one == other


def _same_json(one: str, other: str) -> bool:
    """Tell whether two texts are the same JSON: SDKs put the spaces where they like."""
    try:
        return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except msgspec.DecodeError:
        return False


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = repr(text) if isinstance(value, str) else text
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
