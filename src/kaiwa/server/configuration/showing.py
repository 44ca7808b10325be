"""Every setting in effect with its value and where it came from, so that it may be shown: without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel, SecretStr

from kaiwa.server.configuration.findings import Place
from kaiwa.server.configuration.names import shown_name
from kaiwa.server.configuration.reading import Configuration
from kaiwa.server.settings import GROUPS, Settings
from kaiwa.server.settings_words import is_live

MASK: Final = "••••••••"
_SECRET: Final = re.compile(r"key|secret|credential|password|token|authorization|cookie|signature", re.I)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One setting; `hidden` are places whose values lost to the one in effect."""

    name: str
    setting: str
    value: Any
    place: Place
    origin: str
    live: bool
    hidden: tuple[str, ...] = ()


def shown(read: Configuration, *, defaults: bool) -> list[Shown]:
    """Return the settings that are in effect, in the order of the pages."""
    settings = read.demand()
    names = [name for group in GROUPS for name in group.model_fields]
    return [_shown(read, settings, name) for name in names if defaults or name in read.origins]


def _shown(read: Configuration, settings: Settings, name: str) -> Shown:
    origin = read.origin(name)
    value: object = getattr(settings, name)
    return Shown(
        name=shown_name(name),
        setting=name,
        value=_default_or_masked(name, value, is_default=name not in read.origins),
        place=origin.place,
        origin="default" if origin.place == "default" else str(origin),
        live=is_live(Settings.model_fields[name]),
        hidden=tuple(str(other) for other in read.hidden.get(name, ())),
    )


def _default_or_masked(name: str, value: object, *, is_default: bool) -> object:
    if is_default and isinstance(value, SecretStr):  # what stands in the code is no secret
        return value.get_secret_value()
    return MASK if _SECRET.search(name) and isinstance(value, str) else masked(value)


def masked(value: object) -> object:
    """Return a value of plain types in which no secret is left."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, BaseModel):
        return masked({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, Mapping):
        items = cast(Mapping[str, object], value).items()
        return {key: MASK if _hides(key, inner) else masked(inner) for key, inner in items}
    if isinstance(value, list | tuple):
        return [masked(inner) for inner in cast(list[object], value)]
    if isinstance(value, str):
        return _without_password(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _hides(key: str, value: object) -> bool:
    return bool(_SECRET.search(key)) and isinstance(value, str)


def _without_password(text: str) -> str:
    if "://" not in text or "@" not in text:
        return text
    parts = urlsplit(text)
    return text.replace(f"{parts.netloc.rpartition('@')[0]}@", f"{MASK}@")
