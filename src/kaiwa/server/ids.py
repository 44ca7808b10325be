"""Identifiers as the service makes them: prefix and 21 letters or digits; call ids have 16.

The first four say which process made them, so that another one knows whom to ask.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from typing import Final

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Base64 has two letters more: so two of these come twice as often, which takes less than a bit of a hundred.
_NO_OTHERS: Final = bytes.maketrans(b"+/", b"kw")
_BYTES: Final = 15
MARK: Final = "".join(secrets.choice(_LETTERS) for _ in range(4))
"""This process, among others."""


# Letters that were drawn and not given away: drawing them one by one costs as much for each as for all.
_drawn: list[str] = []
_MANY: Final = 64
_LETTERS_DRAWN: Final = 20
_USUAL: Final = 21 - len(MARK)
_OF_CALLS: Final = 16 - len(MARK)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drawn.clear)


def new_id(kind: str) -> str:
    if not _drawn:
        _draw()
    letters = _drawn.pop()
    return f"{kind}_{MARK}{letters[:_OF_CALLS] if kind == 'call' else letters}"


def _draw() -> None:
    letters = b64encode(secrets.token_bytes(_BYTES * _MANY)).translate(_NO_OTHERS).decode()
    _drawn.extend(letters[at : at + _USUAL] for at in range(0, len(letters), _LETTERS_DRAWN))


def new_token() -> str:
    """Return a secret that says, too, which process it is good at."""
    return f"{MARK}.{secrets.token_urlsafe(24)}"


def mark_of(named: str) -> str:
    """Return the mark of the process that made an id or a token; "" of what can be none of ours."""
    mark = named.partition(".")[0] if "." in named else named.rpartition("_")[2][: len(MARK)]
    return mark if len(mark) == len(MARK) and mark.isascii() and mark.isalnum() else ""
