"""The places where settings are written: options, environment, `.env`, `kaiwa.toml`. Reads, and judges names.

What the values are good for is `reading`'s to say.
"""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from kaiwa.server.configuration.findings import Finding, Origin, Weight, Words
from kaiwa.server.configuration.lines import Path as KeyPath
from kaiwa.server.configuration.lines import line_of, lines_of
from kaiwa.server.configuration.names import ENVIRONMENT, FILE, FILE_SETTING, is_group, is_strange, meant

MOST_BYTES: Final = 1024 * 1024
# Of these a table is the value itself.
_TABLES: Final = frozenset(("prices", "relay_session", "mcp_servers"))
_AT_LINE: Final = re.compile(r"\s*\(at line (\d+)[^)]*\)|\s*\(at end of document\)")


@dataclass(frozen=True)
class Written:
    """A value as it stands somewhere, of the field `setting`. `lines`: of its parts, where it has some."""

    setting: str
    value: object
    origin: Origin
    lines: dict[KeyPath, int] = field(default_factory=dict[KeyPath, int])


@dataclass
class Source:
    """What one place says. `file`: the configuration file that it names."""

    file: str | None = None
    written: list[Written] = field(default_factory=list[Written])
    findings: list[Finding] = field(default_factory=list[Finding])


def from_options(options: Mapping[str, object]) -> Source:
    """Take what the command line says; None: nothing."""
    given = {name: value for name, value in options.items() if value is not None}
    return Source(
        written=[
            Written(name, value, Origin("option", f"--{name.replace('_', '-')}"))
            for name, value in given.items()
        ]
    )


def from_environment(environ: Mapping[str, str]) -> Source:
    return _variables(environ, lambda name: Origin("environment", name))


def from_dotenv(path: Path) -> Source:
    """Read a `.env`. That there is none is no finding."""
    text, wrong = _text_of(path, required=False)
    if text is None:
        return Source(findings=wrong)
    bindings = list(parse_stream(io.StringIO(text)))
    lines = {one.key: _first_line(one.original.string, one.original.line) for one in bindings if one.key}
    readable = "".join(one.original.string for one in bindings if not one.error)
    values = {name: value for name, value in dotenv_values(stream=io.StringIO(readable)).items() if value}
    source = _variables(values, lambda name: Origin(".env", name, str(path), lines.get(name, 0)))
    for one in bindings:
        if one.error:
            line = _first_line(one.original.string, one.original.line)
            source.findings.append(_unreadable_line(path, line))
    return source


def from_file(path: Path, *, required: bool) -> Source:
    """Read a `kaiwa.toml`. `required`: somebody named it, so it must be there."""
    text, wrong = _text_of(path, required=required)
    if text is None:
        return Source(findings=wrong)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        return Source(findings=[_no_toml(path, text, str(broken))])
    lines = lines_of(text)
    source, seen = Source(), dict[str, str]()
    for keys, value in _flat(tables, ()):
        key = ".".join(keys)
        origin = Origin("file", key, str(path), line_of(lines, keys))
        name = FILE.get("_".join(keys))
        if value == "" and name is not None:
            continue
        if name is None:
            source.findings.append(_unknown_key(keys, origin))
        elif name in seen:
            source.findings.append(_twice(key, seen[name], origin))
        else:
            seen[name] = key
            inner = {path[len(keys) :]: line for path, line in lines.items() if path[: len(keys)] == keys}
            source.written.append(Written(name, value, origin, inner))
    return source


def _flat(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Give settings with the keys that lead to them: `[tls]` with `port` says what `tls_port` says."""
    for key, value in table.items():
        keys = (*above, key)
        name = "_".join(keys)
        if isinstance(value, dict) and is_group(name) and FILE.get(name) not in _TABLES:
            yield from _flat(cast(dict[str, Any], value), keys)
        else:
            yield keys, value


def _variables(values: Mapping[str, str], origin: Callable[[str], Origin]) -> Source:
    """Take variables in the order in which a setting's names are known: the first one that is set counts."""
    given = {name.upper(): name for name in values}
    source = Source(file=values.get(given.get(FILE_SETTING, "")) or None)
    taken: set[str] = set()
    for known, setting in ENVIRONMENT.items():
        name = given.get(known)
        if name is not None and values[name] != "" and setting not in taken:
            taken.add(setting)
            source.written.append(Written(setting, values[name], origin(name)))
    for name in values:
        if is_strange(name):
            source.findings.append(_unknown(name, name.upper(), ENVIRONMENT, origin(name), "warning"))
    return source


def _text_of(path: Path, *, required: bool) -> tuple[str | None, list[Finding]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("has more than 1 MiB")
        return path.read_text("utf-8-sig"), []
    except FileNotFoundError:
        if not required:
            return None, []
        why = Words("there is no such file.", "そのファイルがありません。")
    except IsADirectoryError:
        why = Words("is a folder.", "フォルダーです。")
    except UnicodeDecodeError:
        why = Words("is not UTF-8.", "UTF-8 ではありません。")
    except (OSError, ValueError) as error:
        why = Words(f"cannot be read ({getattr(error, 'strerror', None) or error}).", "読み取れません。")
    remedy = Words("Name another file, or mend this one.", "別のファイルを指定するか、修正してください。")
    return None, [Finding(setting=str(path), problem=why, remedy=remedy)]


def _first_line(text: str, line: int) -> int:
    """A binding begins with the empty lines and comments before it."""
    return line + len(text) - len(text.lstrip("\n"))


def _unreadable_line(path: Path, line: int) -> Finding:
    return Finding(
        setting=f"{path}:{line}",
        problem=Words("is no line of NAME=value.", "NAME=value の形ではありません。"),
        remedy=Words(
            "Write NAME=value, with quotes around a value that holds spaces or #.",
            "NAME=value と書き、空白や # を含む値は引用符で囲んでください。",
        ),
    )


def _no_toml(path: Path, text: str, said: str) -> Finding:
    at = _AT_LINE.search(said)
    line = int(at[1]) if at is not None and at[1] else text.count("\n") + 1
    why = _AT_LINE.sub("", said)
    return Finding(
        setting=f"{path}:{line}",
        problem=Words(f"is no TOML: {why}.", f"TOML として読めません: {why}。"),
        remedy=Words('Text needs quotes: name = "value".', '文字列には引用符が必要です: name = "value"。'),
    )


def _unknown(shown: str, written: str, known: Iterable[str], origin: Origin, weight: Weight) -> Finding:
    likely = meant(written, known)
    remedy = (
        Words(f"Did you mean {likely}?", f"{likely} のことですか。")
        if likely
        else Words(
            "`kaiwa config show --all` lists all settings.",
            "すべての設定は `kaiwa config show --all` で表示できます。",
        )
    )
    problem = Words("is no setting of kaiwa.", "kaiwa の設定にありません。")
    return Finding(setting=shown, problem=problem, remedy=remedy, origin=origin, weight=weight)


def _unknown_key(keys: tuple[str, ...], origin: Origin) -> Finding:
    """Within a table its keys are what somebody may have meant."""
    *tables, key = keys
    above = "".join(f"{table}_" for table in tables)
    known = [name.removeprefix(above) for name in FILE if name.startswith(above)]
    return _unknown(".".join(keys), key, known, origin, "failure")


def _twice(key: str, other: str, origin: Origin) -> Finding:
    return Finding(
        setting=key,
        problem=Words(f"says the same as {other}.", f"{other} と同じ設定です。"),
        remedy=Words("Leave one of them out.", "どちらか一方だけにしてください。"),
        origin=origin,
    )
