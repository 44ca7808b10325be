"""Bodies of requests: read up to a bound, and read as what a route expects. Raises PeerError otherwise."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec
import msgspec.inspect as kinds
from starlette.requests import Request

from kaiwa.errors import PeerError
from kaiwa.protocol.realtime.shape import STRICT, Tolerance, fit

T = TypeVar("T")
MAX_JSON_BYTES = 1024 * 1024
_TIMES_DROPPED = 4


class TooLarge(PeerError):
    """A body beyond its bound; answered with 413."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__("request_too_large", f"The request is larger than {limit_bytes} bytes.")


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the whole body; never holds more than the limit. Raises TooLarge.

    The rest of what is too large is taken and dropped, within bounds: most clients send all before they
    read, and would miss the answer.
    """
    body, size = bytearray(), 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit_bytes * _TIMES_DROPPED:
            break
        if size <= limit_bytes:
            body += piece
    if size > limit_bytes:
        raise TooLarge(limit_bytes)
    return bytes(body)


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object of the body, {} when there is none."""
    body = await read_body(request, MAX_JSON_BYTES)
    if not body.strip():
        return {}
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise PeerError("invalid_json", "We could not parse the JSON body of your request.") from None
    if not isinstance(raw, dict):
        raise PeerError("invalid_type", "The body of your request must be a JSON object.")
    return cast(dict[str, Any], raw)


def fitted(raw: Any, kind: type[T], path: str = "", tolerance: Tolerance = STRICT) -> T:
    """Return the JSON value as a struct. Raises PeerError that names where it does not fit."""
    kept = fit(raw, kinds.type_info(kind), path, tolerance)
    try:
        return msgspec.convert(kept, kind)
    except msgspec.ValidationError as bound:  # lengths and patterns, which `fit` leaves alone
        # msgspec says "Expected … - at `$.name`", and nothing of the value.
        rule, _, where = str(bound).partition(" - at `$")
        raise PeerError("invalid_value", f"{rule}.", param=f"{path}{where.rstrip('`')}".lstrip(".")) from None
