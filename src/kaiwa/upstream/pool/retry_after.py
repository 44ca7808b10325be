"""How long a service asks to be left alone, in every form it says so. Source: RFC 9110, section 10.2.3."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

A_DAY_S: Final = 86_400.0
_IN_MS: Final = ("retry-after-ms", "x-ms-retry-after-ms")
_SPAN: Final = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_UNITS_S: Final = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)


def retry_after_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    """Return the seconds to wait, a day at most; None when nothing (or nonsense) was said.

    Milliseconds win over seconds, being the finer word. A date is compared with the answer's own `date`, so
    that clocks that differ do no harm; `wall_s` (Unix time) serves where that is missing.
    """
    for name in _IN_MS:
        wait_ms = number(headers.get(name))
        if wait_ms is not None:
            return _bounded(wait_ms / 1000)
    said = headers.get("retry-after")
    seconds = number(said)
    if seconds is not None:
        return _bounded(seconds)
    until = _unix(said)
    if until is None:
        return None
    sent = _unix(headers.get("date"))
    return _bounded(until - (wall_s if sent is None else sent))


def span_s(text: str | None) -> float | None:
    """Read a span as `6m0s`, `1s`, `120ms` or plain seconds, the forms of `x-ratelimit-reset-*`."""
    plain = number(text)
    if plain is not None or not text:
        return plain
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        return None
    parts = zip(match.groups(), _UNITS_S, strict=True)
    return sum(float(count) * unit for count, unit in parts if count)


def number(text: str | None) -> float | None:
    """Return a finite number that is not negative, else None."""
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), A_DAY_S)


def _unix(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
