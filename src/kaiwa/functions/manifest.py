"""What an app's files say: functions with their bindings, host.json, local.settings.json.

Knows the files' shapes and what is wrong with them; starts nothing. A v2 app's functions are known to its
code alone, so `functions` comes from the worker there. Sources: host.json and function.json references.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.functions import troubles
from kaiwa.functions.troubles import Trouble

DEFAULT_PORT: Final = 7071
_DEFAULT_TIMEOUT_S: Final = 30 * 60.0
_SPAN: Final = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")
_NAME: Final = re.compile(r"\$return|[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER: Final = re.compile(r"<[^<>]+>|YOUR[-_]|\.\.\.|…")
STORING: Final = ("blobTrigger", "queueTrigger", "timerTrigger", "eventHubTrigger", "orchestrationTrigger")
SERVED: Final = ("httpTrigger", "signalRTrigger")

Direction = Literal["in", "out", "inout"]


class Binding(msgspec.Struct, frozen=True):
    type: str
    name: str
    direction: Direction
    options: dict[str, Any]
    """All of the binding as it was written."""

    def option(self, name: str, default: str = "") -> str:
        return str(self.options.get(name) or default)


class Function(msgspec.Struct, frozen=True):
    id: str
    name: str
    bindings: tuple[Binding, ...]
    directory: str = ""
    script_file: str = ""
    entry_point: str = "main"

    @property
    def trigger(self) -> Binding | None:
        return next((each for each in self.bindings if each.type.lower().endswith("trigger")), None)

    def of_type(self, kind: str, direction: Direction) -> Iterator[Binding]:
        return (each for each in self.bindings if each.type == kind and each.direction == direction)


class HostSettings(msgspec.Struct, frozen=True):
    """host.json, as far as it is followed."""

    route_prefix: str = "api"
    timeout_s: float | None = _DEFAULT_TIMEOUT_S
    max_concurrent: int = 100
    max_outstanding: int = 200


class LocalSettings(msgspec.Struct, frozen=True):
    values: dict[str, str] = {}
    port: int | None = None
    cors: tuple[str, ...] = ()
    cors_credentials: bool = False
    found: bool = False

    def __repr__(self) -> str:
        return f"LocalSettings({sorted(self.values)})"


class AppFiles(msgspec.Struct, frozen=True):
    directory: Path
    version: Literal[1, 2]
    functions: tuple[Function, ...] | None
    """None in a v2 app: only the worker can tell."""
    host: HostSettings
    local: LocalSettings


def read_app(directory: Path) -> AppFiles:
    """Raises ConfigError, which names the file and how to mend it."""
    folder = directory.resolve()
    if not (folder / "host.json").is_file():
        raise ConfigError(
            str(directory),
            "there is no host.json, so this is no Functions app.",
            "Give the folder that holds it. / host.json のあるフォルダーを指定してください。",
        )
    host, local = _host(folder / "host.json"), _local(folder / "local.settings.json")
    if (folder / "function_app.py").is_file():
        return AppFiles(folder, 2, None, host, local)
    functions = tuple(_function(file) for file in sorted(folder.glob("*/function.json")))
    if not functions:
        raise ConfigError(
            str(directory),
            "there is neither a function_app.py nor a folder with a function.json.",
            "Add one of them. / function_app.py か function.json を置いてください。",
        )
    return AppFiles(folder, 1, functions, host, local)


def function_of(described: Mapping[str, Any]) -> Function:
    """Return a function of a v2 app, as the worker describes it."""
    return Function(
        id=described["id"],
        name=described["name"],
        bindings=tuple(_binding(each) for each in described["bindings"]),
    )


def check(function: Function) -> None:
    """Raise ConfigError for bindings that Azure's host would refuse or misread."""
    place = f"{function.name}/function.json"
    seen: set[str] = set()
    is_http = function.trigger is not None and function.trigger.type == "httpTrigger"
    for binding in function.bindings:
        if not binding.name:
            raise troubles.empty_name(function.name, binding.type).error(place)
        if not _NAME.fullmatch(binding.name):
            raise troubles.bad_name(function.name, binding.name).error(place)
        if binding.type == "signalR" and binding.name == "$return" and is_http:
            raise troubles.signalr_as_return(function.name).error(place)
        if binding.name in seen:
            raise troubles.doubled_name(function.name, binding.name).error(place)
        seen.add(binding.name)
    if function.trigger is None:
        raise ConfigError(
            place, f"{function.name} has no trigger.", "Add one. / トリガーがありません。追加してください。"
        )


def warnings_of(functions: tuple[Function, ...], settings: Mapping[str, str]) -> list[Trouble]:
    """Return what is likely to go wrong later, though it does not keep the app from starting."""
    found: list[Trouble] = []
    for function in functions:
        trigger = function.trigger
        assert trigger is not None, "functions were checked"
        if trigger.type not in SERVED:
            found.append(troubles.not_served(function.name, trigger.type))
        if trigger.type == "httpTrigger" and not any(function.of_type("http", "out")):
            found.append(troubles.no_http_output(function.name))
    found += [troubles.placeholder(name) for name in sorted(settings) if is_placeholder(settings[name])]
    return found


def needs_storage(functions: Sequence[Function]) -> bool:
    return any(each.trigger is not None and each.trigger.type in STORING for each in functions)


def is_placeholder(value: str) -> bool:
    return _PLACEHOLDER.search(value) is not None


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object, also as editors and PowerShell on Windows write it. Raises ConfigError."""
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        read = json.loads(data.decode(encoding))
    except ValueError as wrong:
        raise ConfigError(
            str(path), f"is no JSON: {wrong}.", "Mend it there. / JSON として読めません。"
        ) from None
    if not isinstance(read, dict):
        raise ConfigError(str(path), "must hold a JSON object.", "JSON オブジェクトにしてください。")
    return cast(dict[str, Any], read)


def _function(file: Path) -> Function:
    read = _read(file)
    bindings = read.get("bindings")
    if not isinstance(bindings, list):
        raise ConfigError(str(file), "has no array `bindings`.", "Add it. / bindings 配列がありません。")
    folder = file.parent
    script = folder / str(read.get("scriptFile") or "__init__.py")
    if not script.is_file():
        raise ConfigError(
            str(file),
            f"names the script {script.name}, which is not there.",
            "Mend scriptFile. / scriptFile のファイルがありません。",
        )
    return Function(
        id=folder.name,
        name=folder.name,
        bindings=tuple(_binding(each) for each in cast(list[dict[str, Any]], bindings)),
        directory=str(folder),
        script_file=str(script),
        entry_point=str(read.get("entryPoint") or "main"),
    )


def _binding(written: dict[str, Any]) -> Binding:
    direction = str(written.get("direction") or "in").lower()
    if direction not in ("in", "out", "inout"):
        raise ConfigError(
            f"direction '{direction}'", "is none.", "Use in or out. / in か out にしてください。"
        )
    name = str(written.get("name") or "").strip()
    return Binding(str(written.get("type") or ""), name, direction, written)


def _host(path: Path) -> HostSettings:
    read = _read(path)
    if str(read.get("version")) != "2.0":
        raise ConfigError(str(path), 'must say "version": "2.0".', "version を 2.0 にしてください。")
    http = cast(dict[str, Any], (read.get("extensions") or {}).get("http") or {})
    return HostSettings(
        route_prefix=str(http.get("routePrefix", "api")).strip("/"),
        timeout_s=_seconds(path, read.get("functionTimeout")),
        max_concurrent=_count(path, http, "maxConcurrentRequests", 100),
        max_outstanding=_count(path, http, "maxOutstandingRequests", 200),
    )


def _count(path: Path, http: dict[str, Any], name: str, default: int) -> int:
    """Return how many; -1 is without limit on Azure, and a large number here."""
    value = http.get(name, default)
    if not isinstance(value, int) or value == 0 or value < -1:
        raise ConfigError(
            f"{path}: {name}", "must be a number above zero.", "Mend it. / 正の数にしてください。"
        )
    return 10_000 if value == -1 else value


def _seconds(path: Path, span: object) -> float | None:
    """Return the seconds of `hh:mm:ss`; None is without limit, which is written -1."""
    if span is None:
        return _DEFAULT_TIMEOUT_S
    if str(span) == "-1":
        return None
    found = _SPAN.fullmatch(str(span))
    if found is None:
        raise ConfigError(
            f"{path}: functionTimeout", "must be hh:mm:ss.", "例: 00:05:00 (時:分:秒) にしてください。"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _local(path: Path) -> LocalSettings:
    if not path.is_file():
        return LocalSettings()
    read = _read(path)
    if read.get("IsEncrypted"):
        raise ConfigError(
            str(path),
            "is encrypted.",
            "Run `func settings decrypt`. / 暗号化されています。`func settings decrypt` で復号してください。",
        )
    values = cast(dict[str, Any], read.get("Values") or {})
    for name, value in values.items():
        if isinstance(value, dict | list):
            raise ConfigError(f"{path}: {name}", "must be a text.", "Values は文字列だけです。")
    host = cast(dict[str, Any], read.get("Host") or {})
    cors = tuple(each.strip().rstrip("/") for each in str(host.get("CORS") or "").split(",") if each.strip())
    port = host.get("LocalHttpPort")
    return LocalSettings(
        values={name: _text(value) for name, value in values.items()},
        port=int(port) if port else None,
        cors=cors,
        cors_credentials=bool(host.get("CORSCredentials")),
        found=True,
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
