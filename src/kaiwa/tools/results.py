"""Writes what a tool returned as the text a model reads. Knows JSON; does not know calls."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from pydantic_core import to_json

MAX_OUTPUT_BYTES: Final = 32_768


def write_result(value: object, limit_bytes: int = MAX_OUTPUT_BYTES) -> str:
    """Return a string as it is and anything else as JSON text of at most `limit_bytes` in UTF-8.

    Too long: `{"truncated": true, "size_bytes": …, "beginning": …}`. Raises ValueError or TypeError for
    a value that JSON cannot carry.
    """
    if isinstance(value, str):
        written = value.encode("utf-8", "replace")
    else:
        written = to_json(value, by_alias=True, inf_nan_mode="null", fallback=_builtins)
    return written.decode() if len(written) <= limit_bytes else _cut(written, limit_bytes)


def write_error(error: str, message: str | None = None) -> str:
    """Return `{"error": …}`, with a plain sentence beside it where the error is only a heading."""
    body = {"error": error} if message is None else {"error": error, "message": message}
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace").decode()


def _cut(written: bytes, limit_bytes: int) -> str:
    kept = limit_bytes
    while True:
        beginning = written[:kept].decode("utf-8", "ignore")
        body = {"truncated": True, "size_bytes": len(written), "beginning": beginning}
        text = json.dumps(body, ensure_ascii=False)
        excess = len(text.encode()) - limit_bytes
        if excess <= 0 or kept == 0:
            return text
        # Escapes make a character up to six bytes long, so what is cut shrinks faster than what is kept.
        kept = max(0, min(kept - 1, kept - excess // 6 - 1))


def _builtins(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
