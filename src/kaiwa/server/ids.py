"""Identifiers as the service makes them: prefix and 21 letters or digits; call ids have 16."""

from __future__ import annotations

import secrets

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PAIRS = tuple(first + second for first in _LETTERS for second in _LETTERS)
_PER_DRAW = len(_PAIRS) ** 11


def new_id(kind: str) -> str:
    size = 16 if kind == "call" else 21
    number = secrets.randbelow(_PER_DRAW)
    letters = ""
    while len(letters) < size:
        number, pair = divmod(number, len(_PAIRS))
        letters += _PAIRS[pair]
    return f"{kind}_{letters[:size]}"
