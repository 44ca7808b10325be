"""A scenario: what a caller does, step by step, and what must come of it. TOML; every error tells its line.

Knows the form of the file. Does not know how a step is done or judged.
"""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from kaiwa.apps.demo.script import Expected
from kaiwa.errors import ConfigError

_ACTIONS: Final = (
    "say",
    "file",
    "write",
    "backchannel",
    "pause_ms",
    "line",
    "reconnect",
    "hang_up",
    "improvise",
)
_MS: Final = msgspec.Meta(ge=0, le=600_000)
_FILE_SUFFIX: Final = ".toml"


class ScenarioError(ConfigError):
    """The scenario cannot be used as it is written."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Line(_Part, frozen=True, kw_only=True):
    """Between the caller's mouth and the server. `noise`: white, babble, or a WAV beside the file."""

    noise: str = ""
    noise_snr_db: float = 20.0
    loss: float = 0.0
    late_ms: int = 0


class Improvisation(_Part, frozen=True, kw_only=True):
    """Let a chat model say what a person with this aim would say, for so many turns at most."""

    goal: str
    turns: int = 6


class Step(_Part, frozen=True, kw_only=True):
    """One thing the caller does.

    `say` is spoken, from `file` where there is one and else by the local voice; `write` is typed. Both wait
    until the agent has finished, unless `interrupt_after_ms` (of the agent's speech) or `at_once` says
    otherwise. `backchannel` is a small word said into the agent's speech without wanting the floor.
    """

    id: str = ""
    say: str | None = None
    spoken: str | None = None
    file: str | None = None
    write: str | None = None
    backchannel: str | None = None
    after_ms: int = 700
    interrupt_after_ms: int | None = None
    at_once: bool = False
    pause_ms: int | None = None
    line: Line | None = None
    reconnect: bool | None = None
    hang_up: bool | None = None
    improvise: Improvisation | None = None

    @property
    def action(self) -> str:
        named = [name for name in _ACTIONS if name != "file" and getattr(self, name) is not None]
        return named[0] if named else "say"


class ToolWanted(_Part, frozen=True, kw_only=True):
    """A call that must be made, after the step with the id `after`; `times`: exactly so often."""

    name: str
    arguments: dict[str, Expected] = {}
    after: str | None = None
    times: int | None = None


class RowWanted(_Part, frozen=True, kw_only=True):
    """A reservation that must be in the store at the end, made by this call."""

    vehicle_type: Expected | None = None
    customer_name: Expected | None = None
    location: Expected | None = None
    start: Expected | None = None
    end: Expected | None = None


class Times(_Part, frozen=True, kw_only=True):
    """Upper bounds in milliseconds. The first two are of every turn, from the end of its speech."""

    first_audio_ms: int | None = None
    first_text_ms: int | None = None
    silence_after_interruption_ms: int | None = None
    whole_ms: int | None = None


class Wanted(_Part, frozen=True, kw_only=True):
    """What must come of it. `says` and `hears` are patterns for what the agent said and wrote down.

    `rows`: how many reservations this call made. `errors` names the codes of error events that may come.
    """

    tool: tuple[ToolWanted, ...] = ()
    row: tuple[RowWanted, ...] = ()
    rows: int | None = None
    says: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    hears_nothing: bool = False
    no_tools: bool = False
    answers_every_turn: bool = True
    interrupted: int | None = None
    errors: tuple[str, ...] = ()
    times: Times = Times()


class Manners(_Part, frozen=True, kw_only=True):
    """How the caller behaves; durations in call time. `comes_back`: when the connection breaks it dials again
    and goes on with the same conversation (`resume`); of kaiwa's servers only. `transport` webrtc: a call;
    what the line does to sound it does to packets, from the beginning to the end."""

    lead_in_ms: int = 400
    pause_ms: int = 500
    tail_ms: int = 300
    reply_timeout_s: float = 20.0
    tool_patience_s: float = 8.0
    turn_detection: Literal["semantic_vad", "server_vad", "none"] = "semantic_vad"
    comes_back: bool = False
    transport: Literal["websocket", "webrtc"] = "websocket"


class Scenario(_Part, frozen=True, kw_only=True):
    """One caller. `tools` gives outputs for functions that the server leaves to its client."""

    name: str
    language: str = "ja"
    agent: str = "rentacar"
    time_zone: str = "Asia/Tokyo"
    voice: str | None = None
    seed: int = 0
    session: dict[str, Any] = {}
    caller: Manners = Manners()
    line: Line = Line()
    tools: dict[str, str] = {}
    step: tuple[Step, ...]
    expect: Wanted = Wanted()
    folder: str = "."

    @property
    def speaks(self) -> bool:
        """Whether anything of it is sound; a caller who only types has no microphone."""
        return any(step.action in ("say", "backchannel", "pause_ms", "improvise") for step in self.step)


def bundled_scenarios() -> dict[str, Path]:
    """Return the scenarios that ship with the package, by name."""
    folder = Path(str(files("kaiwa.testing.callers"))) / "scenarios"
    return {path.stem: path for path in sorted(folder.glob(f"*{_FILE_SUFFIX}"))}


def load_scenario(named: str) -> Scenario:
    """Read a scenario by its file, or by the name of a bundled one. Raises ScenarioError with the line."""
    path = bundled_scenarios().get(named, Path(named))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        there = ", ".join(bundled_scenarios())
        raise ScenarioError(
            "--scenario", f"{named} cannot be read.", f"Name a file, or {there}."
        ) from failure
    return read_scenario(text, path)


def read_scenario(text: str, path: Path) -> Scenario:
    try:
        table = tomllib.loads(text)
        scenario = msgspec.convert(table | {"folder": str(path.parent)}, Scenario)
    except tomllib.TOMLDecodeError as wrong:
        # Its message ends in "(at line 3, column 7)".
        raise ScenarioError(path.name, f"{wrong}.", _REMEDY) from wrong
    except msgspec.ValidationError as wrong:
        problem, _, where = str(wrong).partition(" - at `$.")
        line = line_of(text, where.rstrip("`") + ("." + _named(problem) if _named(problem) else ""))
        raise ScenarioError(path.name, f"line {line}: {problem}.", _REMEDY) from wrong
    _check_steps(scenario, text, path)
    return scenario


_REMEDY: Final = "See docs/callers.md for the keys."


def _named(problem: str) -> str:
    """Return the field that a message of msgspec is about, if it names one."""
    found = re.search(r"unknown field `(.+?)`", problem)
    return found.group(1) if found else ""


def _check_steps(scenario: Scenario, text: str, path: Path) -> None:
    for number, step in enumerate(scenario.step):
        actions = {name for name in _ACTIONS if getattr(step, name) is not None} - {"file"}
        if step.file is not None and not actions:
            actions = {"say"}
        if len(actions) != 1:
            told = "does nothing" if not actions else f"has {' and '.join(sorted(actions))} at once"
            line = line_of(text, f"step[{number}]")
            raise ScenarioError(
                path.name, f"line {line}: this step {told}.", f"One of {', '.join(_ACTIONS)}."
            )
    known = {step.id for step in scenario.step}
    for number, tool in enumerate(scenario.expect.tool):
        if tool.after is not None and tool.after not in known:
            line = line_of(text, f"expect.tool[{number}].after")
            raise ScenarioError(path.name, f"line {line}: no step has the id {tool.after!r}.", _REMEDY)
    for kind in ("says", "hears"):
        for pattern in getattr(scenario.expect, kind):
            _check_pattern(pattern, line_of(text, f"expect.{kind}"), path)


def _check_pattern(pattern: str, line: int, path: Path) -> None:
    try:
        re.compile(pattern)
    except re.error as wrong:
        raise ScenarioError(
            path.name, f"line {line}: {wrong} in {pattern!r}.", "Mend the pattern."
        ) from wrong


def line_of(text: str, where: str) -> int:
    """Return the line of a place such as `step[2].after_ms`: of its key, else of its table, else 1."""
    lines = text.splitlines()
    best, start = 1, 0
    path = where
    while path:
        header = _header_line(lines, path)
        if header is not None:
            best, start = header, header
            break
        path = path.rpartition(".")[0]
    rest = where[len(path) :].lstrip(".")
    key = re.split(r"[.\[]", rest, maxsplit=1)[0]
    if not key:
        return best
    for number, line in enumerate(lines[start:], start + 1):
        if re.match(rf'\s*"?{re.escape(key)}"?\s*[.=]', line):
            return number
        if start and re.match(r"\s*\[", line):
            break
    return best


def _header_line(lines: list[str], path: str) -> int | None:
    match = re.fullmatch(r"(.*)\[(\d+)\]", path)
    name, wanted = (match.group(1), int(match.group(2))) if match else (path, 0)
    header = f"[[{name}]]" if match else f"[{name}]"
    seen = -1
    for number, line in enumerate(lines, 1):
        if line.split("#", 1)[0].strip().replace(" ", "") == header:
            seen += 1
            if seen == wanted:
                return number
    return None
