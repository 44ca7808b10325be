"""A `kaiwa.toml` with every setting in it, commented out: its meaning, what it takes, its default."""

from __future__ import annotations

import json
import textwrap
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from kaiwa.server.configuration.allowed import allowed
from kaiwa.server.configuration.names import FILE, shown_name
from kaiwa.server.configuration.page import own_fields, plain_default, title_of
from kaiwa.server.settings import GROUPS
from kaiwa.server.settings_words import is_live

_HEAD: Final = """\
# Settings of kaiwa. Options of `kaiwa serve`, the environment and .env win over what stands here.
# Take away the # of a line to change it; `kaiwa config check` says what is wrong.
# kaiwa の設定ファイルです。オプション、環境変数、.env がこのファイルより優先されます。
# 行頭の # を外すと有効になり、`kaiwa config check` で確認できます。
"""
_WIDTH: Final = 100


def example() -> str:
    """Return the text of the file."""
    parts = [_HEAD]
    for group in GROUPS:
        title, _ = title_of(group)
        parts.append(f"\n# --- {title} {'-' * (_WIDTH - 7 - len(title))}\n")
        parts += [_entry(name, group.model_fields[name]) for name in own_fields(group)]
    return "\n".join(parts)


def _entry(name: str, field: FieldInfo) -> str:
    takes = allowed(field).english + ("; changes live" if is_live(field) else "")
    meaning = " ".join((field.description or "").split())
    lines = textwrap.wrap(meaning, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    said = [*lines, f"({takes})"]
    return "\n".join([*(f"# {line}" for line in said), f"#{key_of(name)} = {_value(field)}", ""])


def key_of(name: str) -> str:
    """Return the key of a setting in `kaiwa.toml`: its name on the pages, in small letters."""
    key = shown_name(name).lower().removeprefix("kaiwa_")
    return key if FILE.get(key) == name and "_" in key else name


def _value(field: FieldInfo) -> str:
    default = plain_default(field)
    usual: object = field.get_default(call_default_factory=True)  # pyright: ignore[reportUnknownMemberType]
    if isinstance(usual, bool | int | float):
        return default
    if isinstance(usual, str | SecretStr):
        return json.dumps(default, ensure_ascii=False)
    if isinstance(usual, tuple) and usual:
        return f"[{default}]"
    if usual is None:
        return '""'
    return "[]" if isinstance(usual, tuple) else "{}"
