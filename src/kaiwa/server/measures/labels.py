"""The values that labels may have: few, and known before a request comes.

A label with a value that clients choose is a series for each of them, and a page of their words. So a name
stands in a label only if the operator wrote it; all others are `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

OTHER: Final = "other"

# Why conversations end, in one word each, besides the codes below.
_ENDINGS: Final = {
    "peer gone": "peer_gone",
    "internal error": "internal_error",
    "slow consumer": "slow_consumer",
    "hung up": "hung_up",
    "The engine was lost.": "engine_lost",
}
_CODES: Final = frozenset(
    {
        "model_not_found",
        "rate_limit_exceeded",
        "server_busy",
        "session_expired",
        "upstream_closed",
        "upstream_refused_settings",
        "upstream_timeout",
        "upstream_unauthorized",
        "upstream_unavailable",
        "upstream_unreachable",
    }
)
GOOD_ENDINGS: Final = frozenset({"peer_gone", "hung_up", "session_expired"})
"""Nobody is to blame for these."""
_EXPIRED: Final = "Your session hit the maximum duration"
SESSION_ENDINGS: Final = frozenset({*_ENDINGS.values(), *_CODES, OTHER})


class Names:
    """Names of the operator's: those of a configuration, which may be read anew at any time."""

    def __init__(self, *known: Callable[[], Collection[str]]) -> None:
        self._known = known

    def label(self, name: str) -> str:
        return name if any(name in known() for known in self._known) else OTHER


def ending_of(reason: str) -> str:
    """Return the word for why a conversation ended. A service's own words are `other`."""
    if reason.startswith(_EXPIRED):
        return "session_expired"
    code = reason.rpartition(".")[2]
    return _ENDINGS.get(reason) or (code if code in _CODES else OTHER)
