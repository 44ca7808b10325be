"""From what an operator wrote to deployments: JSON or TOML, each fault told with its entry, field and remedy.

Reads files with keys where an entry names one; else it opens nothing. No message shows a key or an address.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import urlsplit

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.upstream.credentials import ApiKey, Credential, EntraToken, NoKey, entra_token, managed_source
from kaiwa.upstream.endpoint import checked_address
from kaiwa.upstream.pool.deployment import ANY, Deployment, Kind, Prices

Form = Literal["json", "toml"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
MOST: Final = 200
_EXAMPLE: Final = '[{"name": "east", "endpoint": "https://NAME.openai.azure.com", "deployment": "gpt-4o"}]'
_REMEDIES: Final = {
    "endpoint": "Write it as https://NAME.openai.azure.com.",
    "base_url": "Write it up to /v1, as https://api.openai.com/v1.",
    "models": 'Write names, ["gpt-4o"], or what they are called there, {"gpt-4o": "my-gpt-4o"}; "*": any.',
    "identity": 'Write "default" or "managed".',
    "tier": "Write a whole number; 0 is asked first.",
    "weight": "Write a number above 0.",
    "max_concurrent": "Write a whole number above 0, or leave it out.",
    "spill_at": "Write a share above 0 and up to 1, as 0.95.",
    "prices": "Write prices of a million tokens: text_input, text_input_cached, text_output.",
}
# Fields of KAIWA_REALTIME_UPSTREAMS that mean the like.
_ELSEWHERE: Final = {
    "priority": "Here it is tier; 0 is asked first.",
    "sessions": "Here it is max_concurrent.",
}


class EntryPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text_input: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    text_input_cached: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    text_output: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One deployment as written. Its first fields are those of KAIWA_REALTIME_UPSTREAMS."""

    name: Name | None = None
    endpoint: str | None = None
    base_url: str | None = None
    deployment: Name | None = None
    api_key: str | None = None
    api_version: Name | None = None
    models: list[Name] | dict[Name, Name] | None = None
    api_key_file: str | None = None
    identity: str | None = None
    client_id: str | None = None
    tier: Annotated[int, msgspec.Meta(ge=0, le=99)] = 0
    weight: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 1.0
    max_concurrent: Annotated[int, msgspec.Meta(ge=1)] | None = None
    spill_at: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.95
    prices: EntryPrices | None = None


class Credentials:
    """One value for each key and identity, kept from one reading to the next: tokens are fetched once."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, bool], ApiKey] = {}
        self._tokens: dict[tuple[str, str | None], EntraToken] = {}
        self._none = NoKey()

    def key(self, key: str, *, bearer: bool) -> ApiKey:
        return self._keys.setdefault((key, bearer), ApiKey(key, bearer=bearer))

    def none(self) -> NoKey:
        return self._none

    def token(self, setting: str, identity: str, client_id: str | None) -> EntraToken:
        """Return tokens of an identity. Raises ConfigError when they cannot be had here."""
        known = self._tokens.get((identity, client_id))
        if known is None:
            source = (lambda: managed_source(client_id)) if identity == "managed" else None
            known = self._tokens[identity, client_id] = entra_token(setting, source)
        return known

    async def close(self) -> None:
        for token in self._tokens.values():
            await token.close()


def read_deployments(text: str, form: Form, setting: str, credentials: Credentials) -> list[Deployment]:
    """Return the deployments of a configuration. Raises ConfigError."""
    entries = _listed(text, form, setting)
    deployments = [
        _deployment(raw, number, f"{setting}, entry {number}", credentials)
        for number, raw in enumerate(entries, 1)
    ]
    for name, count in Counter(one.name for one in deployments).items():
        if count > 1:
            raise ConfigError(setting, f"{count} entries have the name {name}.", "Give each its own name.")
    return deployments


def key_files(text: str, form: Form, setting: str) -> list[Path]:
    """Return the files with keys that a configuration names, to be looked after for changes."""
    entries = [cast(dict[str, Any], raw) for raw in _listed(text, form, setting) if isinstance(raw, dict)]
    named = [entry.get("api_key_file") for entry in entries]
    return [Path(name) for name in named if isinstance(name, str)]


def _listed(text: str, form: Form, setting: str) -> list[object]:
    try:
        decoded: object = tomllib.loads(text) if form == "toml" else msgspec.json.decode(text)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as broken:
        raise ConfigError(setting, f"is no {form.upper()}: {broken}.", f"Write it as {_EXAMPLE}.") from None
    if isinstance(decoded, dict):
        decoded = cast(dict[str, object], decoded).get("upstreams")
    if not isinstance(decoded, list) or not decoded:
        remedy = "Begin each with [[upstreams]]." if form == "toml" else f"Write it as {_EXAMPLE}."
        raise ConfigError(setting, "is no list of deployments.", remedy)
    listed = cast(list[object], decoded)
    if len(listed) > MOST:
        raise ConfigError(setting, f"has {len(listed)} entries.", f"There may be {MOST}.")
    return listed


def _deployment(raw: object, number: int, where: str, credentials: Credentials) -> Deployment:
    entry = _entry(raw, where)
    where = f"{where} ({entry.name})" if entry.name else where
    if (entry.endpoint is None) == (entry.base_url is None):
        problem = (
            "has neither endpoint nor base_url." if entry.endpoint is None else "has endpoint and base_url."
        )
        raise ConfigError(where, problem, 'Give "endpoint" for Azure OpenAI, "base_url" for everybody else.')
    if entry.endpoint is not None and entry.deployment is None and not isinstance(entry.models, dict):
        raise ConfigError(
            f"{where}, deployment", "is not set.", 'Name the deployment, or map names to it in "models".'
        )
    kind, base = _place(entry, where)
    return Deployment(
        name=entry.name or f"upstream-{number}",
        kind=kind,
        base=base,
        credential=_credential(entry, kind, where, credentials),
        models=_models(entry, where),
        api_version=entry.api_version,
        tier=entry.tier,
        weight=entry.weight,
        max_concurrent=entry.max_concurrent,
        spill_at=entry.spill_at,
        prices=Prices(**msgspec.structs.asdict(entry.prices)) if entry.prices else None,
    )


def _entry(raw: object, where: str) -> Entry:
    name = cast(dict[str, object], raw).get("name") if isinstance(raw, dict) else None
    where = f"{where} ({name})" if isinstance(name, str) and len(name) <= 100 else where
    try:
        return msgspec.convert(raw, Entry)
    except msgspec.ValidationError as wrong:
        problem, _, path = str(wrong).partition(" - at `$")
        if problem.startswith("Object contains unknown field"):
            field = problem.partition("`")[2].rstrip("`")[:40]
            if path:
                field, known = f"prices.{field}", EntryPrices.__struct_fields__
            else:
                known = Entry.__struct_fields__
            remedy = _ELSEWHERE.get(field, f"There are: {', '.join(known)}.")
            raise ConfigError(f"{where}, {field}", "is unknown.", remedy) from None
        field = path.strip("`.").partition(".")[0].partition("[")[0]
        at = f"{where}, {field}" if field else where
        raise ConfigError(at, f"{problem}.", _REMEDIES.get(field, f"Write it as {_EXAMPLE}.")) from None


def _place(entry: Entry, where: str) -> tuple[Kind, str]:
    if entry.endpoint is not None:
        base = checked_address(entry.endpoint, f"{where}, endpoint")
        base = base.removesuffix("/openai/v1").removesuffix("/openai")
        return ("azure" if entry.api_version is None else "azure-classic"), base
    base = checked_address(entry.base_url or "", f"{where}, base_url")
    return ("openai" if urlsplit(base).hostname == "api.openai.com" else "compatible"), base


def _models(entry: Entry, where: str) -> dict[str, str]:
    """Return what clients may ask for, each with the deployment's own name of it."""
    own = entry.deployment
    if isinstance(entry.models, dict):
        named = dict(entry.models)
    else:
        names = [own or ANY] if entry.models is None else entry.models
        named = {name: own or name for name in names}
    if not named:
        raise ConfigError(f"{where}, models", "is empty.", "Leave it out, or name some.")
    if own is None and entry.endpoint is not None and ANY in named.values():
        raise ConfigError(
            f"{where}, models",
            "maps to `*`, and Azure OpenAI has deployments.",
            _REMEDIES["models"],
        )
    return named


def _credential(entry: Entry, kind: Kind, where: str, credentials: Credentials) -> Credential:
    given = [name for name in ("api_key", "api_key_file", "identity") if getattr(entry, name) is not None]
    if len(given) > 1:
        raise ConfigError(where, f"has {' and '.join(given)}.", "Keep one of them.")
    bearer = kind in ("openai", "compatible")
    if entry.api_key_file is not None:
        return credentials.key(_key_in(entry.api_key_file, f"{where}, api_key_file"), bearer=bearer)
    if entry.api_key is not None:
        return credentials.key(_key(entry.api_key, f"{where}, api_key"), bearer=bearer)
    if entry.identity not in (None, "default", "managed"):
        raise ConfigError(f"{where}, identity", "is unknown.", _REMEDIES["identity"])
    if not bearer or entry.identity is not None:
        return credentials.token(f"{where}, api_key", entry.identity or "default", entry.client_id)
    if kind == "openai":
        raise ConfigError(f"{where}, api_key", "is not set.", 'Set it, or "api_key_file".')
    return credentials.none()


def _key_in(path: str, setting: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise ConfigError(
            setting, f"{path} {why}.", "Name a file that holds the key and nothing else."
        ) from None
    return _key(text, setting)


def _key(text: str, setting: str) -> str:
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(setting, "holds no key.", "A key is one word of plain letters.")
    return key
