"""The tables of docs/configuration.md, from the settings' types and docstrings.

`python -m kaiwa.server.configuration.page` writes them into the page; a test holds the page to it.
"""

from __future__ import annotations

import re
import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from kaiwa.server.configuration.allowed import allowed
from kaiwa.server.settings import GROUPS
from kaiwa.server.settings_words import Group, environment_names, live_of, option_of

PAGE: Final = Path("docs/configuration.md")
BEGIN: Final = "<!-- settings: written by `python -m kaiwa.server.configuration.page` -->"
END: Final = "<!-- end of settings -->"
_LINK: Final = re.compile(r"docs/([a-z-]+)\.md(#[\w-]+)?")
_HEAD: Final = "| name | takes | default | live | meaning |\n|---|---|---|---|---|"


def tables() -> str:
    """Return every group as a section with its table."""
    return "\n\n".join(_section(group) for group in GROUPS)


def with_tables(page: str) -> str:
    """Return the page with the tables as they are now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, "the page has its two marks"
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def title_of(group: type[Group]) -> tuple[str, str]:
    """Return the group's title, and what stands above its table."""
    title, _, introduction = cleandoc(group.__doc__ or "").partition("\n\n")
    return title.strip(), introduction.strip()


def plain_default(field: FieldInfo) -> str:
    """Return the default as one writes it; empty: there is none."""
    value: Any = field.get_default(call_default_factory=True)  # pyright: ignore[reportUnknownMemberType]
    if value is None or value == () or value == {}:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _section(group: type[Group]) -> str:
    title, introduction = title_of(group)
    rows = [_row(name, group.model_fields[name]) for name in own_fields(group)]
    return "\n\n".join(part for part in (f"## {title}", introduction, "\n".join([_HEAD, *rows])) if part)


def own_fields(group: type[BaseModel]) -> list[str]:
    return [name for name in group.model_fields if name in group.__annotations__]


def _row(name: str, field: FieldInfo) -> str:
    first, *others = environment_names(name, field)
    shown = [f"`{first}`", *(f"or `{other}`" for other in others if not other.startswith("KAIWA_AZURE_"))]
    if option := option_of(field):
        shown.append(f"`{option}`" if option.startswith("-") else option)
    default = plain_default(field)
    cells = (
        ", ".join(shown).replace(", or ", " or "),
        allowed(field).english,
        f"`{default}`" if default else "none",
        _live(field),
        _linked(field.description or ""),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _live(field: FieldInfo) -> str:
    live = live_of(field)
    if live is None:
        return ""
    return "while set" if live.while_set else "yes"


def _linked(meaning: str) -> str:
    """Make links of the pages that a docstring names."""
    return _LINK.sub(
        lambda found: f"[{_words(found[2] or found[1])}]({found[1]}.md{found[2] or ''})",
        " ".join(meaning.split()),
    )


def _words(name: str) -> str:
    return name.lstrip("#").replace("-", " ")


if __name__ == "__main__":
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
