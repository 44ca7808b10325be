"""From what people write in one line to values: lists with commas, JSON, ports."""

from __future__ import annotations

import json
from typing import Annotated, Final

from pydantic import BeforeValidator, SecretStr

_MOST_PORTS: Final = 64


def as_list(value: object) -> object:
    """Read names with commas between them, or a JSON list of them."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return tuple(name.strip() for name in value.split(",") if name.strip())


def as_json(value: object) -> object:
    """Read JSON where it is written as text."""
    return json.loads(value) if isinstance(value, str) else value


def as_json_text(value: object) -> object:
    """Write tables of a configuration file as the text that this setting has elsewhere."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def as_ports(value: object) -> object:
    """Read a port or `40000-40003`."""
    if isinstance(value, int):
        return (value,)
    if not isinstance(value, str):
        return value
    first, _, last = value.partition("-")
    if not (first.strip().isdecimal() and (last or first).strip().isdecimal()):
        raise ValueError("is no port and no range of ports")
    ports = range(int(first), int(last or first) + 1)
    if not 0 <= ports.start < ports.stop <= 65536 or len(ports) > _MOST_PORTS:
        raise ValueError("ports are 0 to 65535, at most 64 of them, the lower one first")
    return tuple(ports)


FROM_JSON: Final = BeforeValidator(as_json)
Listed = Annotated[tuple[str, ...], BeforeValidator(as_list)]
Ports = Annotated[tuple[int, ...], BeforeValidator(as_ports)]
TextOfTables = Annotated[SecretStr, BeforeValidator(as_json_text)]
"""A text that may be written as tables in `kaiwa.toml`."""
