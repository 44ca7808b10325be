"""What the settings say of themselves besides their types: names, options, and whether they can change live.

Knows no value; who reads settings and who writes of them (`configuration`) looks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

PREFIX: Final = "KAIWA_"


@dataclass(frozen=True)
class Names:
    """Names that a setting has in the environment besides `KAIWA_` and its own, the best known one first."""

    known: tuple[str, ...]

    def __init__(self, *known: str) -> None:
        object.__setattr__(self, "known", known)


@dataclass(frozen=True)
class Option:
    """The option of `kaiwa serve` that says the same."""

    flag: str


@dataclass(frozen=True)
class Live:
    """The setting can change while the server runs: on SIGHUP (`server/reloading.py`).

    `while_set`: from one value to another; that there is one, or none, is decided when the server starts.
    """

    while_set: bool = False


LIVE: Final = Live()
LIVE_WHILE_SET: Final = Live(while_set=True)


class Group(BaseModel):
    """Settings that belong together: the class's docstring is what a page says above their table."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True
    )


def environment_names(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return what the setting is called in the environment, the name that pages use first."""
    own = f"{PREFIX}{name.upper()}"
    known = next((mark.known for mark in field.metadata if isinstance(mark, Names)), ())
    return (*known, own) if own not in known else known


def option_of(field: FieldInfo) -> str | None:
    return next((mark.flag for mark in field.metadata if isinstance(mark, Option)), None)


def live_of(field: FieldInfo) -> Live | None:
    return next((mark for mark in field.metadata if isinstance(mark, Live)), None)


def is_live(field: FieldInfo) -> bool:
    return live_of(field) is not None
