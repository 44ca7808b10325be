"""Identifiers as the service makes them: prefix and 21 letters or digits; call ids have 16."""

from __future__ import annotations

import secrets

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PER_DRAW = 62**21


def new_id(kind: str) -> str:
    size = 16 if kind == "call" else 21
    number = secrets.randbelow(_PER_DRAW)
    letters: list[str] = []
    for _ in range(size):
        number, digit = divmod(number, 62)
        letters.append(_LETTERS[digit])
    return f"{kind}_{''.join(letters)}"
