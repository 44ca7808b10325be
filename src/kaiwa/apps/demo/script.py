"""A caller's script: lines with their sound, the tool calls they must lead to, the row at the end.

Knows the script's JSON form and how its relative days become dates. Does not know how a line is sent or
who listens. Any script of this form may replace ours: `kaiwa demo --script FILE`.
"""

from __future__ import annotations

import wave
from datetime import date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from kaiwa.errors import ConfigError

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
RATE_HZ = 24_000


class Moment(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="is", tag="moment"
):
    """A day relative to today, with an optional time.

    Either `days` from today, or `weekday` of the Monday-based week that is `weeks` after this one.
    """

    days: int = 0
    weekday: Weekday | None = None
    weeks: int = 0
    time: str | None = None

    def on(self, today: date) -> datetime:
        day = today + timedelta(days=self.days)
        if self.weekday is not None:
            monday = today - timedelta(days=today.weekday())
            day = monday + timedelta(weeks=self.weeks, days=WEEKDAYS.index(self.weekday))
        return datetime.combine(day, time.fromisoformat(self.time) if self.time else time())


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="is", tag="id"):
    """The id of the thing that an earlier tool result calls `named`."""

    named: str


class Like(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="is", tag="like"):
    """Any text in which the regular expression is found."""

    pattern: str


Expected = Moment | Named | Like | str | int | float | bool


class ToolExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call that must happen. `blame` maps an argument to the line that carried it, if another one did."""

    tool: str
    arguments: dict[str, Expected] = {}
    blame: dict[str, str] = {}


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing the caller says. `interrupt_after_ms`: cut in when the agent has spoken so long.

    `spoken`, `voice` and `speed` are for rendering only; `spoken` None: the text as it is.
    """

    id: str
    text: str
    file: str
    spoken: str | None = None
    voice: str | None = None
    speed: float = 1.0
    interrupt_after_ms: int | None = None
    expect: tuple[ToolExpectation, ...] = ()


class ExpectedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    vehicle_type: str
    customer_name: str
    start: Moment
    end: Moment


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    language: str
    agent: str
    timezone: str
    engine: str = ""
    voice: str = ""
    lines: tuple[Line, ...]
    row: ExpectedRow | None = None


def bundled_script(language: str) -> Path:
    """Return the path of the script that ships with the package. Raises ConfigError for another language."""
    path = Path(str(files("kaiwa.apps.demo"))) / "lines" / language / "script.json"
    if not path.is_file():
        raise ConfigError("lang", f"there is no demo script in {language!r}.", "Use ja or en.")
    return path


def load_script(path: Path) -> Script:
    """Read a script. Raises ConfigError with the path of the wrong key."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as error:
        raise ConfigError(
            "script", f"cannot read {path}: {error.strerror}.", "Give a readable file."
        ) from error
    except msgspec.DecodeError as error:
        raise ConfigError("script", f"{path} is not a script: {error}.", "See the bundled ones.") from error


def load_sound(script_path: Path, line: Line) -> bytes:
    """Return the line's sound as house audio. Raises ConfigError when it is not a 24 kHz mono PCM16 WAV."""
    path = script_path.parent / line.file
    remedy = "Lines are WAV files beside the script: PCM16, mono, 24 kHz."
    try:
        with wave.open(str(path), "rb") as reader:
            shape = (reader.getnchannels(), reader.getsampwidth(), reader.getframerate())
            if shape != (1, 2, RATE_HZ):
                raise ConfigError("script", f"{path} has (channels, bytes, rate) {shape}.", remedy)
            return reader.readframes(reader.getnframes())
    except (OSError, wave.Error, EOFError) as error:
        raise ConfigError("script", f"cannot read {path}: {error}.", remedy) from error
