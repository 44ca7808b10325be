"""How limits stand, as the headers that clients of OpenAI read. Source: OpenAI API, "Rate limits". Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kaiwa.policy.amounts import NANO, Kind, Standing
from kaiwa.policy.holds import LimitReached


def limit_headers(standing: Sequence[Standing]) -> dict[str, str]:
    """Return `x-ratelimit-{limit,remaining,reset}-{requests,tokens,money}`: the tighter limit of a kind."""
    tightest: dict[Kind, Standing] = {}
    for entry in standing:
        known = tightest.setdefault(entry.limit.kind, entry)
        if known is not entry and _share_left(entry) < _share_left(known):
            tightest[entry.limit.kind] = entry
    headers: dict[str, str] = {}
    for kind, tight in tightest.items():
        most, left = tight.limit.most, tight.remaining
        headers[f"x-ratelimit-limit-{kind}"] = str(most) if kind != "money" else _money(most)
        headers[f"x-ratelimit-remaining-{kind}"] = str(left) if kind != "money" else _money(left)
        headers[f"x-ratelimit-reset-{kind}"] = duration(tight.reset_s)
    return headers


def refusal_headers(reached: LimitReached) -> dict[str, str]:
    """Return the headers of a 429: how limits stand, and when to come again."""
    wait_s = max(reached.retry_after_s, 0.001)
    again = {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(math.ceil(wait_s * 1000))}
    return limit_headers(reached.standing) | again


def duration(seconds: float) -> str:
    """Return a time as OpenAI writes it: `120ms`, `59.5s`, `6m0s`, `23h59m1s`."""
    if seconds < 1:
        return f"{math.ceil(max(seconds, 0) * 1000)}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 1000) / 1000:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def _share_left(entry: Standing) -> float:
    return entry.remaining / max(1, entry.limit.most)


def _money(amount: int) -> str:
    return f"{amount / NANO:.6g}"
