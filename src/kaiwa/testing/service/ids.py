"""Identifiers as the service makes them, the same on every run of one seed."""

from __future__ import annotations

import random
import string

_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits


class SeededIds:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, kind: str) -> str:
        """Return `kind`, an underscore and 21 letters or digits; call ids have 16. Source: reference B4."""
        letters = self._random.choices(_LETTERS, k=16 if kind == "call" else 21)
        return f"{kind}_{''.join(letters)}"

    def ephemeral_key(self) -> str:
        return f"ek_{self._random.getrandbits(128):032x}"
