"""Identifiers as the service makes them: prefix and 21 letters or digits; call ids have 16.

The first four say which process made them, so that another one knows whom to ask.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import Final

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Base64 has two letters more: so two of these come twice as often, which takes less than a bit of a hundred.
_NO_OTHERS: Final = bytes.maketrans(b"+/", b"kw")
_BYTES: Final = 15
MARK: Final = "".join(secrets.choice(_LETTERS) for _ in range(4))
"""This process, among others."""


def new_id(kind: str) -> str:
    size = 16 if kind == "call" else 21
    drawn = b64encode(secrets.token_bytes(_BYTES)).translate(_NO_OTHERS)[: size - len(MARK)]
    return f"{kind}_{MARK}{drawn.decode()}"


def new_token() -> str:
    """Return a secret that says, too, which process it is good at."""
    return f"{MARK}.{secrets.token_urlsafe(24)}"


def mark_of(named: str) -> str:
    """Return the mark of the process that made an id or a token; "" of what can be none of ours."""
    mark = named.partition(".")[0] if "." in named else named.rpartition("_")[2][: len(MARK)]
    return mark if len(mark) == len(MARK) and mark.isascii() and mark.isalnum() else ""
