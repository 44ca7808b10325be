"""The base of all values: frozen and strict about unknown fields when decoded."""

from __future__ import annotations

from typing import dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact. Equal by content, never changed after it was made.

    Subclasses say `kw_only=True` themselves; msgspec does not inherit it.
    """
