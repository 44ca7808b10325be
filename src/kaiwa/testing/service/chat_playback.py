"""From the events of an answer to bytes with their moments, faults and framing included. Pure.

Knows HTTP/1.1's framing and which fault strikes where; writing is the wire's part.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from kaiwa.testing.service.faults import Faults, fits

Framing = Literal["chunked", "content-length", "gzip", "close"]
Ending = Literal["keep", "hang_up", "close", "reset", "freeze"]
MALFORMED: Final = b'data: {"choices":[{"delta":{"content":"\n\n'
UNKNOWN: Final = b'event: stand_in.nobody_knows\ndata: {"object":"stand_in.unknown","put_in":true}\n\n'
_AT_EVENTS: Final = (
    "cut_in",
    "end_after",
    "error_after",
    "close_after",
    "reset_after",
    "freeze_after",
    "malformed_after",
    "unknown_after",
)
_BETWEEN_PARTS_S: Final = 0.02
_LAST_CHUNK: Final = b"0\r\n\r\n"
_BETWEEN_FRAGMENTS_S: Final = 0.0005


class Told(NamedTuple):
    """One event of an answer. `name` is what faults know it by; `piece`: it carries words or arguments."""

    name: str
    data: bytes
    pause_s: float = 0.0
    piece: bool = False


class Step(NamedTuple):
    """Wait, then write. What is `apart` is a write of its own, however late it is."""

    pause_s: float
    data: bytes
    piece: bool = False
    apart: bool = False


class Playback(NamedTuple):
    """`keep` and `hang_up` are proper ends; `freeze`: nothing more, yet not closed."""

    steps: list[Step]
    ending: Ending


def before_the_head(faults: Faults) -> Playback | None:
    """Return the end that a fault makes before anything was answered."""
    for name, ending in _breaks(faults):
        if fits(name, "request"):
            return Playback([], ending)
    return None


def play(told: Sequence[Told], headers: Sequence[tuple[str, str]], error: bytes, faults: Faults) -> Playback:
    """Return what to write for these events. `error` goes where `error_after` says, and ends the stream."""
    kind: Framing = faults.framing or ("chunked" if len(told) > 1 else "content-length")
    framing = _Framing(kind)
    head = _head(headers, framing, sum(len(event.data) for event in told))
    early = _ending_at("head", "head", faults)
    if early is not None:
        return Playback(_in_parts(head, faults.head_parts), early)
    body = _Body(framing, faults, error)
    ending = body.add_all(told)
    if ending == "keep":
        body.close()
    steps = [*_in_parts(head, faults.head_parts), *_fragments(body.steps, faults.fragment_bytes)]
    return Playback(steps, "hang_up" if (kind, ending) == ("close", "keep") else ending)


class _Body:
    """The steps of a body while its events are added, until one of them is struck by its end."""

    def __init__(self, framing: _Framing, faults: Faults, error: bytes) -> None:
        self._framing, self._faults, self._error = framing, faults, error
        self._names: Counter[str] = Counter()
        self._struck: set[str] = set()
        self._has_begun = False
        self._may_strike = any(getattr(faults, fault) is not None for fault in _AT_EVENTS)
        self.steps: list[Step] = []

    def add_all(self, told: Sequence[Told]) -> Ending:
        for event in told:
            if (ending := self.add(event)) is not None:
                return ending
        return "keep"

    def add(self, event: Told) -> Ending | None:
        """Add an event and what faults put behind it. Return how the answer ends there, if it does."""
        if not self._may_strike:
            self.steps.append(Step(self._pause_s(event), self._framing.wrap(event.data), event.piece))
            return None
        self._names[event.name] += 1
        name, numbered = event.name, f"{event.name}.{self._names[event.name]}"
        data, pause_s = self._framing.wrap(event.data), self._pause_s(event)
        if _is_at(self._faults.cut_in, name, numbered):
            self.steps.append(Step(pause_s, data[: len(data) // 2]))
            return "close"
        self.steps.append(Step(pause_s, data, event.piece))
        self._put_in(name, numbered)
        if "error" in self._struck or _is_at(self._faults.end_after, name, numbered):
            return "keep"
        return _ending_at(name, numbered, self._faults)

    def close(self) -> None:
        if last := self._framing.end():
            self.steps.append(Step(0, last))

    def _pause_s(self, event: Told) -> float:
        pause_s = event.pause_s + self._faults.late_ms / 1000
        if event.piece and not self._has_begun:
            self._has_begun = True
            pause_s += self._faults.first_token_s
        return pause_s

    def _put_in(self, name: str, numbered: str) -> None:
        faults = self._faults
        for fault, where, data in (
            ("malformed", faults.malformed_after, MALFORMED),
            ("unknown", faults.unknown_after, UNKNOWN),
            ("error", faults.error_after, self._error),
        ):
            if fault not in self._struck and _is_at(where, name, numbered):
                self._struck.add(fault)
                self.steps.append(Step(0, self._framing.wrap(data)))


def _is_at(pattern: str | None, name: str, numbered: str) -> bool:
    return fits(pattern, name) or fits(pattern, numbered)


def _breaks(faults: Faults) -> Sequence[tuple[str | None, Ending]]:
    return ((faults.close_after, "close"), (faults.reset_after, "reset"), (faults.freeze_after, "freeze"))


def _ending_at(name: str, numbered: str, faults: Faults) -> Ending | None:
    return next((ending for where, ending in _breaks(faults) if _is_at(where, name, numbered)), None)


def _in_parts(head: bytes, parts: int) -> list[Step]:
    size = -(-len(head) // max(parts, 1))
    cuts = [head[start : start + size] for start in range(0, len(head), size)]
    return [Step(_BETWEEN_PARTS_S if number else 0, cut, apart=number > 0) for number, cut in enumerate(cuts)]


def _fragments(steps: list[Step], size: int | None) -> list[Step]:
    """Cut every write into fragments, a moment apart, so that no reader finds events whole."""
    if size is None:
        return steps
    parted: list[Step] = []
    for step in steps:
        cuts = [step.data[start : start + size] for start in range(0, len(step.data), size)]
        pauses = [step.pause_s or _BETWEEN_FRAGMENTS_S, *[_BETWEEN_FRAGMENTS_S] * len(cuts)]
        parted += [Step(pause_s, cut, apart=True) for pause_s, cut in zip(pauses, cuts, strict=False)]
        parted[-1] = parted[-1]._replace(piece=step.piece)
    return parted


def _head(headers: Sequence[tuple[str, str]], framing: _Framing, size_bytes: int) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        *(f"{name}: {value}" for name, value in headers),
        *framing.headers(size_bytes),
    ]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


class _Framing:
    """How the body's end is known: chunks, a length, the close; or chunks of gzip."""

    def __init__(self, kind: Framing) -> None:
        self.kind: Framing = kind
        self._gzip = zlib.compressobj(1, wbits=31) if kind == "gzip" else None

    def headers(self, size_bytes: int) -> tuple[str, ...]:
        match self.kind:
            case "content-length":
                return (f"content-length: {size_bytes}",)
            case "close":
                return ("connection: close",)
            case "gzip":
                return ("transfer-encoding: chunked", "content-encoding: gzip")
            case "chunked":
                return ("transfer-encoding: chunked",)

    def wrap(self, data: bytes) -> bytes:
        if self._gzip is not None:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        return data if self.kind in ("content-length", "close") else _chunk(data)

    def end(self) -> bytes:
        if self._gzip is not None:
            return _chunk(self._gzip.flush()) + _LAST_CHUNK
        return _LAST_CHUNK if self.kind == "chunked" else b""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
