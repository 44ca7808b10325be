"""Which of the two shapes of the Realtime API a peer speaks. Source: Realtime reference A1."""

from __future__ import annotations

from typing import Literal

from kaiwa.protocol.realtime.ga import GaCodec

Dialect = Literal["ga"]


def codec_for(dialect: Dialect) -> GaCodec:
    """Return what reads and writes the frames of one connection."""
    return GaCodec()
