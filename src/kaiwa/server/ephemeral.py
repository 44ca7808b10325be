"""Ephemeral keys: short-lived credentials that a page may hold, each with the session it was minted for.

Knows how they are made, kept and forgotten; nothing of requests. Only their hashes are kept.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kaiwa.events.config import SessionConfig

PREFIX = "ek_"
MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Minted:
    """What a key opens: sessions that begin with `config`, until `expires_at` (Unix seconds)."""

    config: SessionConfig
    expires_at: int


class EphemeralKeys:
    """The keys that are alive. A full store refuses to mint; it never drops a key that was promised."""

    def __init__(self, *, most: int = MOST_KEYS, now: Callable[[], float] = time.time) -> None:
        self._most = most
        self._now = now
        self._minted: dict[bytes, Minted] = {}

    def mint(self, config: SessionConfig, lifetime_s: int) -> tuple[str, Minted] | None:
        """Return a new key and what it opens; None when too many are alive."""
        self._forget_expired()
        if len(self._minted) >= self._most:
            return None
        key = PREFIX + secrets.token_hex(16)
        minted = Minted(config, int(self._now()) + lifetime_s)
        self._minted[_digest(key)] = minted
        return key, minted

    def find(self, keys: Iterable[str]) -> Minted | None:
        """Return what the first living key among `keys` opens."""
        for key in keys:
            minted = self._minted.get(_digest(key))
            if minted is not None and self._now() < minted.expires_at:
                return minted
        return None

    def _forget_expired(self) -> None:
        now = self._now()
        self._minted = {name: minted for name, minted in self._minted.items() if now < minted.expires_at}


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
