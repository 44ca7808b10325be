"""Identifiers as the service makes them: prefix and 21 letters or digits; call ids have 16.

The first four say which process made them, so that another one knows whom to ask.
"""

from __future__ import annotations

import secrets
from typing import Final

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PAIRS = tuple(first + second for first in _LETTERS for second in _LETTERS)
_PER_DRAW = len(_PAIRS) ** 9
MARK: Final = "".join(secrets.choice(_LETTERS) for _ in range(4))
"""This process, among others."""


def new_id(kind: str) -> str:
    size = 16 if kind == "call" else 21
    number = secrets.randbelow(_PER_DRAW)
    letters = MARK
    while len(letters) < size:
        number, pair = divmod(number, len(_PAIRS))
        letters += _PAIRS[pair]
    return f"{kind}_{letters[:size]}"


def new_token() -> str:
    """Return a secret that says, too, which process it is good at."""
    return f"{MARK}.{secrets.token_urlsafe(24)}"


def mark_of(named: str) -> str:
    """Return the mark of the process that made an id or a token; "" of what can be none of ours."""
    mark = named.partition(".")[0] if "." in named else named.rpartition("_")[2][: len(MARK)]
    return mark if len(mark) == len(MARK) and mark.isascii() and mark.isalnum() else ""
