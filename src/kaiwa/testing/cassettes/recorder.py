"""The file of a recording. Every line is written out at once, so that a killed recorder leaves them all.

Knows the clock, the bound of the file and that everything passes the redactor. Does not know who is recorded.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final

from kaiwa.errors import ConfigError
from kaiwa.protocol.cassette.redaction import Redactor
from kaiwa.protocol.cassette.tape import Bytes, Cut, Ended, Entry, Frame, Head, Header, Opened, Side, written

MAX_BYTES: Final = 256 * 1024 * 1024
_ROOM_FOR_THE_LAST_LINE: Final = 256
_HELD_BYTES: Final = 8 * 1024 * 1024
KEPT_HEADERS: Final = ("content-type", "retry-after", "retry-after-ms", "location")


class Recorder:
    """One cassette that is being written. `clock` gives seconds and never goes back.

    When the file is full it gets a last line that says so, and what follows is not kept: a recording never
    ends the conversation it records. Raises ConfigError when the file is there or cannot be made.
    """

    def __init__(
        self,
        path: Path,
        redactor: Redactor | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        overwrite: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._redactor = redactor or Redactor()
        self._left_bytes = max_bytes - _ROOM_FOR_THE_LAST_LINE
        self._clock = clock
        self._zero_s = clock()
        self._exchanges = 0
        self.full = False
        self.lines = 0
        self._file = _opened(path, overwrite)
        self._write(
            Header(
                recorded=datetime.now(UTC).isoformat(timespec="seconds"),
                recorder=f"kaiwa {version('kaiwa')}",
                redacted=tuple(sorted(self._redactor.kinds)),
            )
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def exchanges(self) -> int:
        return self._exchanges

    def open(self, opened: Opened) -> Reel:
        """Begin an exchange; its number and moment are given here."""
        self._exchanges += 1
        reel = Reel(self, self._redactor, self._exchanges)
        target = self._redactor.text(opened.target)
        self.write(
            Opened(
                at=self.now_ms(),
                on=reel.on,
                door=opened.door,
                target=target,
                method=opened.method,
                dialect=opened.dialect,
                subprotocols=opened.subprotocols,
            )
        )
        return reel

    def now_ms(self) -> float:
        return round((self._clock() - self._zero_s) * 1000, 3)

    def write(self, entry: Entry) -> None:
        if not self.full and not self._file.closed:
            self._write(entry)

    def _write(self, entry: Header | Entry) -> None:
        line = written(entry)
        if len(line) > self._left_bytes:
            self.full = True
            line = written(Cut(at=self.now_ms(), why="the file was full"))
        self._left_bytes -= len(line)
        self.lines += 1
        self._file.write(line)


def _opened(path: Path, overwrite: bool) -> FileIO:
    try:
        return FileIO(path, "wb" if overwrite else "xb", opener=_for_its_owner_alone)
    except FileExistsError as there:
        raise ConfigError(
            str(path), "it is there already.", "Name another file, or add --overwrite."
        ) from there
    except OSError as failure:
        raise ConfigError(
            str(path), f"it cannot be written: {failure.strerror}.", "Name another."
        ) from failure


def _for_its_owner_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Reel:
    """One exchange of a recording."""

    def __init__(self, recorder: Recorder, redactor: Redactor, on: int) -> None:
        self._recorder = recorder
        self._redactor = redactor
        self.on = on

    def frame(self, by: Side, data: str | bytes) -> None:
        """Keep one message, or a body or a piece of one. What is no text cannot be searched for words."""
        at = self._recorder.now_ms()
        text = _as_text(data)
        if text is not None:
            self._recorder.write(Frame(at=at, on=self.on, by=by, text=self._redactor.frame(text)))
        elif not self._redactor.kinds:
            self._recorder.write(Bytes(at=at, on=self.on, by=by, base64=base64.b64encode(data).decode()))  # type: ignore[arg-type]

    def blackened(self, by: Side, text: str) -> None:
        """Keep a text whose frames went through the redactor one by one."""
        kept = self._redactor.text(text)
        self._recorder.write(Frame(at=self._recorder.now_ms(), on=self.on, by=by, text=kept))

    def head(self, status: int, headers: dict[str, str]) -> None:
        kept = {name: value for name, value in headers.items() if name.lower() in KEPT_HEADERS}
        self._recorder.write(Head(at=self._recorder.now_ms(), on=self.on, status=status, headers=kept))

    def end(self, by: Side, code: int | None = None, reason: str = "") -> None:
        text = self._redactor.text(reason)
        self._recorder.write(Ended(at=self._recorder.now_ms(), on=self.on, by=by, code=code, reason=text))

    def body(self, *, streamed: bool) -> BodyReel:
        return BodyReel(self, self._redactor, streamed=streamed)


class BodyReel:
    """The body of an answer. A stream of events is kept in the pieces that came, unless words are blackened:
    then in whole events. Any other body is kept in one piece, since a key may lie across two."""

    def __init__(self, reel: Reel, redactor: Redactor, *, streamed: bool) -> None:
        self._reel = reel
        self._redactor = redactor
        self._streamed = streamed
        self._held = bytearray()

    def piece(self, data: bytes) -> None:
        if self._streamed and not self._redactor.kinds:
            self._reel.frame("server", data)
            return
        self._held += data
        if self._streamed:
            whole, separator, rest = self._held.rpartition(b"\n\n")
            if separator:
                self._held = bytearray(rest)
                self._reel.blackened("server", self._blackened(bytes(whole + separator)))
        if len(self._held) > _HELD_BYTES:
            self._held.clear()
            self._streamed = True

    def end(self) -> None:
        if self._held:
            data = bytes(self._held)
            if self._streamed:
                self._reel.blackened("server", self._blackened(data))
            else:
                self._reel.frame("server", data)

    def _blackened(self, events: bytes) -> str:
        lines = events.decode("utf-8", "replace").split("\n")
        return "\n".join(
            f"data: {self._redactor.frame(line[6:])}" if line.startswith("data: {") else line
            for line in lines
        )


def _as_text(data: str | bytes) -> str | None:
    if isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
