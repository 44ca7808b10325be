"""Which faults hold for what runs now: those of the request that it belongs to. Its tasks inherit them."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from kaiwa.testing.faults.choosing import Strikes

STRIKES: Final[ContextVar[Strikes | None]] = ContextVar("kaiwa_strikes", default=None)
_NONE: Final = Strikes()


def strikes_here() -> Strikes:
    """Return the faults of the request that is being served; outside of one there are none."""
    return STRIKES.get() or _NONE
