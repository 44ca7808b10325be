"""Plays one side of a recorded exchange to whoever plays the other, and checks what that one sends.

Pure: frames and the time go in, frames to send come out. A recorded frame of ours is due when everything
recorded before it has happened, and, unless time is virtual, when as much time has passed since as in the
recording. Sound that the other side appends is a stream of its own, compared by its bytes and not by frames.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

from kaiwa.protocol.cassette.matching import STRICT, Difference, Matcher, Matching, Names, ids_in
from kaiwa.protocol.cassette.redaction import is_audio
from kaiwa.protocol.cassette.tape import Bytes, Ended, Exchange, Frame, Numbered, Played, Side

_APPEND: Final = "input_audio_buffer.append"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first thing that went otherwise than recorded. `line`: where in the cassette; 0: after its end."""

    line: int
    problem: str
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        where = f"line {self.line} of the cassette: " if self.line else ""
        return "\n  ".join([f"{where}{self.problem}", *map(str, self.differences)])


@dataclass(slots=True)
class _Step:
    """One thing that happens in order, after the other side appended `sound` bytes."""

    at: Numbered
    ours: bool
    sound: int = 0


@dataclass(slots=True)
class _Sound:
    """Appended audio: what was recorded, and how much of it came and was equal."""

    recorded: bytearray = field(default_factory=bytearray)
    came: int = 0

    def take(self, pcm: bytes, exact: bool) -> bool:
        """Take more of it; False when it is not what was recorded."""
        start = self.came
        self.came += len(pcm)
        known = bytes(self.recorded[start : self.came])
        return not exact or known == pcm[: len(known)]


class Player:
    """`plays` is our side. `pace` 1.0 is real time, 2.0 twice as fast, None virtual: no waiting at all."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        plays: Side,
        rules: Matching = STRICT,
        pace: float | None = None,
        redacted: tuple[str, ...] = (),
    ) -> None:
        self._exchange = exchange
        self._plays: Side = plays
        self._rules = rules
        self._pace = pace
        self._sound = _Sound()
        self._own_ids: set[str] = set()
        self._names = Names(self._own_ids)
        self._matcher = Matcher(rules, self._names, redacted)
        self._exact_sound = rules.audio == "exact" and "audio" not in redacted
        self._steps = deque(self._arranged())
        self._came: deque[str | bytes] = deque()
        self._shift_s: float | None = None
        self._waiting_since: float | None = None
        self.mismatch: Mismatch | None = None
        self.left = False
        self.played = 0
        self.checked = 0

    @property
    def finished(self) -> bool:
        """Everything recorded has happened, or something else has. A service that was cut short stays."""
        stays = self._plays == "server" and self._exchange.cut
        over = not self._steps and not stays
        return over or self.mismatch is not None or self.left

    @property
    def complete(self) -> bool:
        """Everything recorded has happened; that a client has not closed yet is no matter."""
        return self.mismatch is None and all(isinstance(step.at.entry, Ended) for step in self._steps)

    def start(self, now: float) -> None:
        self._shift_s = now - self._recorded_s(self._exchange.opened.at)
        self._waiting_since = now

    def receive(self, frame: str | bytes, now: float) -> None:
        """Take what the other side sent."""
        if self.mismatch is not None:
            return
        kind = _type_of(frame)
        if kind == _APPEND and isinstance(frame, str):
            self._hear(frame, now)
        elif self._rules.counts(kind):
            self._came.append(frame)
            if not self._steps and not self._exchange.cut:
                self._fail(0, f"{kind or 'a frame'} came after the end of the recording")
        self._check(now)

    def end(self, now: float) -> None:
        """The other side closed."""
        self._check(now)
        self.left = True
        if self.mismatch is None and not self.complete and not self._only_ours_is_left():
            step = self._next_of_the_other() or self._steps[0]
            missing = _named(step.at.entry)
            self._fail(step.at.line, f"the {self._other} left before its {missing}")

    def due(self, now: float) -> list[Played]:
        """Return what is to be sent now, in order."""
        assert self._shift_s is not None, "a player is started before it plays"
        given: list[Played] = []
        while self.mismatch is None and self._steps:
            self._check(now)
            step = self._steps[0] if self._steps else None
            if step is None or not step.ours or not self._ripe(step, now):
                break
            self._steps.popleft()
            self._waiting_since = now
            self._note_lateness(step, now)
            given.append(self._real(step.at.entry))
        self.played += len(given)
        return given

    def next_timer(self) -> float | None:
        """Return when to ask `due` again, though nothing came."""
        if self.finished or not self._steps or self._shift_s is None or self._waiting_since is None:
            return None
        step = self._steps[0]
        if step.ours and self._sound_suffices(step):
            return self._moment_of(step)
        return None if _is_end(step) else self._waiting_since + self._rules.patience_s

    def handle_timer(self, now: float) -> None:
        """Give up what has not come in time."""
        if self.finished or not self._steps or self._waiting_since is None:
            return
        step = self._steps[0]
        late = now >= self._waiting_since + self._rules.patience_s
        if not late or _is_end(step) or (step.ours and self._sound_suffices(step)):
            return
        missing = self._missing_sound(step) if step.ours else _named(step.at.entry)
        self._fail(
            step.at.line,
            f"nothing came for {self._rules.patience_s:g} s where the {self._other} sent {missing}",
        )

    # --- the recording -------------------------------------------------------------------------

    @property
    def _other(self) -> Side:
        return "client" if self._plays == "server" else "server"

    def _arranged(self) -> list[_Step]:
        steps: list[_Step] = []
        made_up: set[str] = set()
        for numbered in self._exchange.entries:
            entry = numbered.entry
            ours = entry.by == self._plays
            text = entry.text if isinstance(entry, Frame) else ""
            if ours:
                steps.append(_Step(numbered, True, len(self._sound.recorded)))
                if not is_audio(text):
                    self._own_ids |= ids_in(text) - made_up
            elif _type_of(text) == _APPEND:
                self._sound.recorded += _sound_in(text) if self._rules.audio != "any" else b""
            elif isinstance(entry, Ended) or self._rules.counts(_type_of(text)):
                steps.append(_Step(numbered, False))
                made_up |= ids_in(text) - self._own_ids
        return self._greeting_first(steps)

    def _greeting_first(self, steps: list[_Step]) -> list[_Step]:
        """Let a service's first frame wait for nothing: a client may have been quicker when recorded."""
        if self._plays == "server" and self._exchange.opened.door == "websocket":
            first = next((index for index, step in enumerate(steps) if step.ours), 0)
            if first and isinstance(steps[first].at.entry, Frame):
                steps.insert(0, steps.pop(first))
                steps[0].sound = 0
        return steps

    def _real(self, entry: Played) -> Played:
        if isinstance(entry, Frame):
            return msgspec.structs.replace(entry, text=self._names.real(entry.text))
        return entry

    # --- when ----------------------------------------------------------------------------------

    def _recorded_s(self, at_ms: float) -> float:
        return at_ms / 1000 / (self._pace or 1.0)

    def _moment_of(self, step: _Step) -> float:
        assert self._shift_s is not None
        return self._recorded_s(step.at.entry.at) + self._shift_s if self._pace is not None else 0.0

    def _ripe(self, step: _Step, now: float) -> bool:
        return self._sound_suffices(step) and self._moment_of(step) <= now

    def _note_lateness(self, step: _Step, now: float) -> None:
        """Keep the gaps of a service whose client spoke later than recorded; a microphone never waits."""
        if self._plays == "server" and self._pace is not None and self._shift_s is not None:
            self._shift_s += max(0.0, now - self._moment_of(step))

    def _sound_suffices(self, step: _Step) -> bool:
        return self._rules.audio == "any" or self._sound.came >= step.sound

    # --- what came -----------------------------------------------------------------------------

    def _check(self, now: float) -> None:
        while self._came and self._steps and not self._steps[0].ours and self.mismatch is None:
            step, frame = self._steps.popleft(), self._came.popleft()
            self.checked += 1
            self._waiting_since = now
            self._shift_s = now - self._recorded_s(step.at.entry.at)
            entry = step.at.entry
            if not isinstance(entry, Frame | Bytes):
                self._fail(
                    step.at.line,
                    f"{_type_of(frame) or 'a frame'} came where the {self._other} sent {_named(entry)}",
                )
                return
            differences = self._matcher.differences(entry.data, frame)
            if differences:
                self._fail(step.at.line, f"another {_named(entry)} than was recorded", tuple(differences))

    def _hear(self, frame: str, now: float) -> None:
        self._waiting_since = now
        if self._rules.audio != "any" and not self._sound.take(_sound_in(frame), self._exact_sound):
            step = self._steps[0] if self._steps else None
            heard_ms = self._sound.came // 48
            self._fail(
                step.at.line if step else 0, f"other sound than was recorded, within its first {heard_ms} ms"
            )

    def _missing_sound(self, step: _Step) -> str:
        return f"{step.sound - self._sound.came} more bytes of sound"

    def _only_ours_is_left(self) -> bool:
        """A client that hangs up in the middle of an answer need not do so at the same word."""
        return self._plays == "server" and all(step.ours or _is_end(step) for step in self._steps)

    def _next_of_the_other(self) -> _Step | None:
        return next((step for step in self._steps if not step.ours and not _is_end(step)), None)

    def _fail(self, line: int, problem: str, differences: tuple[Difference, ...] = ()) -> None:
        if self.mismatch is None:
            self.mismatch = Mismatch(line, problem, differences)


def _is_end(step: _Step) -> bool:
    return isinstance(step.at.entry, Ended)


def _named(entry: Played) -> str:
    if isinstance(entry, Frame):
        return _type_of(entry.text) or "frame"
    return {"Bytes": "binary frame", "Head": "head", "Ended": "close"}[type(entry).__name__]


class _Typed(msgspec.Struct):
    type: str = ""
    audio: str = ""


_TYPED: Final = msgspec.json.Decoder(_Typed)


def _type_of(frame: str | bytes) -> str:
    if isinstance(frame, bytes) or not frame.startswith("{"):
        return ""
    try:
        return _TYPED.decode(frame).type
    except msgspec.DecodeError:
        return ""


def _sound_in(frame: str) -> bytes:
    try:
        return base64.b64decode(_TYPED.decode(frame).audio)
    except (msgspec.DecodeError, binascii.Error):
        return b""
