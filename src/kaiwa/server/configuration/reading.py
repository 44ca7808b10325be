"""From the places where settings are written to one `Settings`, with everything that is wrong found at once.

An option wins over the environment, that over `.env`, that over `kaiwa.toml`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from kaiwa.server.configuration.allowed import allowed, is_plain
from kaiwa.server.configuration.findings import (
    DEFAULT,
    NOTHING,
    Finding,
    Origin,
    Words,
    WrongConfiguration,
    told_of,
)
from kaiwa.server.configuration.lines import line_of
from kaiwa.server.configuration.names import ENVIRONMENT, meant, shown_name
from kaiwa.server.configuration.sources import (
    Source,
    Written,
    from_dotenv,
    from_environment,
    from_file,
    from_options,
)
from kaiwa.server.settings import Settings, UncheckedSettings, disagreements

USUAL_FILE: Final = "kaiwa.toml"
DOTENV: Final = ".env"
_SHOWN_LETTERS: Final = 40
# What Kubernetes writes into KAIWA_PORT for a service that is called kaiwa.
_SERVICE_LINK: Final = "tcp://"


@dataclass(frozen=True)
class Configuration:
    """What was read. `settings` None: something is wrong with it; `origins`: of what is no default."""

    settings: Settings | None
    usable: Settings
    """What is right of it, for who looks further; it may break rules between settings."""
    origins: Mapping[str, Origin]
    findings: tuple[Finding, ...]
    file: Path | None = None
    hidden: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict[str, tuple[Origin, ...]])
    """Where else a setting is written, without effect."""

    @property
    def failures(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.weight == "failure")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.weight == "warning")

    def demand(self) -> Settings:
        """Return the settings. Raises WrongConfiguration with everything that is wrong."""
        if self.settings is None:
            raise WrongConfiguration(self.failures)
        return self.settings

    def origin(self, name: str) -> Origin:
        return self.origins.get(name, DEFAULT)


def read_configuration(
    options: Mapping[str, object] | None = None,
    *,
    file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Configuration:
    """Read all places once. `file` None: what KAIWA_CONFIG names, else the folder's `kaiwa.toml` if there."""
    environ = os.environ if environ is None else environ
    folder = Path() if folder is None else folder
    variables, dotenv = from_environment(environ), from_dotenv(folder / DOTENV)
    named = file or variables.file or dotenv.file
    path = Path(named) if named else folder / USUAL_FILE
    sources = [
        from_options(options or {}),
        variables,
        dotenv,
        from_file(path, required=bool(named)),
    ]
    return _judged(sources, path if path.is_file() else None)


def _judged(sources: list[Source], path: Path | None) -> Configuration:
    effective, hidden = _effective(sources)
    findings = [finding for source in sources for finding in source.findings]
    values = {name: written.value for name, written in effective.items()}
    wrong = list(_wrong_values(values, effective))
    for name in {name for name, _ in wrong}:
        values.pop(name)
    findings += [finding for _, finding in wrong]
    right = UncheckedSettings.model_validate(values)
    origins = {name: written.origin for name, written in effective.items()}
    findings += [told_of(rule, _origin_of(rule.setting, origins)) for rule in disagreements(right)]
    failed = any(finding.weight == "failure" for finding in findings)
    settings = None if failed else Settings.model_validate(values)
    usable = settings or Settings.model_construct(
        **{name: getattr(right, name) for name in Settings.model_fields}
    )
    return Configuration(settings, usable, origins, tuple(findings), path, hidden)


def _effective(sources: list[Source]) -> tuple[dict[str, Written], dict[str, tuple[Origin, ...]]]:
    """Return what counts of what is written, and where the rest of it stands."""
    effective: dict[str, Written] = {}
    hidden: dict[str, tuple[Origin, ...]] = {}
    for source in sources:
        for written in source.written:
            if written.setting in effective:
                hidden[written.setting] = (*hidden.get(written.setting, ()), written.origin)
            else:
                effective[written.setting] = written
    return effective, hidden


def _origin_of(setting: str, origins: Mapping[str, Origin]) -> Origin | None:
    return origins.get(ENVIRONMENT.get(setting.upper(), ""))


def _wrong_values(
    values: Mapping[str, object], effective: Mapping[str, Written]
) -> Iterator[tuple[str, Finding]]:
    """Give every value that its setting does not take, with the setting's field."""
    try:
        UncheckedSettings.model_validate(values)
    except ValidationError as error:
        told: set[tuple[str | int, ...]] = set()
        for one in error.errors(include_url=False, include_context=True):
            name, *inner = one["loc"]
            # A setting of two types is refused once by each.
            simple = is_plain(Settings.model_fields[str(name)])
            path = (name, *(part for part in inner if not simple and not _is_type(part)))
            if path not in told:
                told.add(path)
                written = effective[str(name)]
                yield str(name), _wrong_value(str(name), list(path[1:]), one, written)


def _is_type(part: str | int) -> bool:
    return isinstance(part, str) and "[" in part


def _wrong_value(name: str, inner: list[str | int], error: Any, written: Written) -> Finding:
    field_info = Settings.model_fields[name]
    origin, setting = _deeper(written, inner), shown_name(name)
    if inner:
        return Finding(setting=setting, origin=origin, problem=_inner_problem(inner, error), remedy=_SEE)
    if error["type"] == "value_error":
        return Finding(setting=setting, origin=origin, problem=_own_words(error), remedy=_takes(name))
    if name == "port" and str(written.value).startswith(_SERVICE_LINK):
        return Finding(setting=setting, origin=origin, problem=_LINKED, remedy=_UNLINK)
    takes = allowed(field_info)
    shown = f"'{str(written.value)[:_SHOWN_LETTERS]}' " if is_plain(field_info) else ""
    problem = Words(
        f"{shown}is not allowed; it takes {takes.english}.",
        f"{shown}は使えません。{takes.japanese}を指定してください。",
    )
    return Finding(setting=setting, origin=origin, problem=problem, remedy=_usual(name))


def _deeper(written: Written, inner: list[str | int]) -> Origin:
    """Return where a part of a value stands, as near as is known."""
    origin = written.origin
    line = line_of(written.lines, tuple(inner)) if inner else 0
    return Origin(origin.place, origin.name, origin.path, line or origin.line)


def _inner_problem(inner: list[str | int], error: Any) -> Words:
    where = ".".join(str(part) for part in inner)
    if error["type"] == "extra_forbidden":
        likely = meant(str(inner[-1]), _inner_names(error))
        hint = Words(f"Did you mean {likely}?", f"{likely} のことですか。") if likely else NOTHING
        return Words(f"{where} is unknown.", f"{where} という項目はありません。") + hint
    return Words(f"{where}: {error['msg'].lower()}.", f"{where} の値が正しくありません。")


def _inner_names(error: Any) -> list[str]:
    from kaiwa.server.settings import ModelPrices, Prices, UpstreamEntry

    of = {"realtime_upstreams": UpstreamEntry, "prices": ModelPrices if "models" in error["loc"] else Prices}
    model = of.get(str(error["loc"][0]))
    if model is None:
        return []
    return [name for known, field in model.model_fields.items() for name in (known, field.alias) if name]


def _own_words(error: Any) -> Words:
    """What a validator of the settings says, without what it was given: that may be a secret."""
    said = str(error["msg"]).removeprefix("Value error, ")
    said = f"is no JSON: {said}" if "column" in said else said
    return Words(f"{said[:200]}.", f"値が正しくありません ({said[:200]})。")


def _takes(name: str) -> Words:
    takes = allowed(Settings.model_fields[name])
    return Words(f"It takes {takes.english}.", f"{takes.japanese}を指定してください。")


def _usual(name: str) -> Words:
    usual = Settings.model_fields[name].default
    if usual is None or isinstance(usual, dict | tuple) or not is_plain(Settings.model_fields[name]):
        return Words("Mend it, or leave it out.", "修正するか、削除してください。")
    said = str(usual).lower() if isinstance(usual, bool) else usual
    return Words(f"Leave it out for {said}.", f"省略すると {said} になります。")


_SEE: Final = Words("See docs/configuration.md.", "docs/configuration.md を参照してください。")
_LINKED: Final = Words(
    "holds an address that Kubernetes writes for a service named kaiwa.",
    "kaiwa という名前の Service のために Kubernetes が書いたアドレスです。",
)
_UNLINK: Final = Words(
    "Set enableServiceLinks: false in the pod, or name the service otherwise.",
    "Pod で enableServiceLinks: false にするか、Service の名前を変えてください。",
)
