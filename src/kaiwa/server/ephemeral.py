"""Ephemeral keys: short-lived credentials that a page may hold, for a session or for some scopes.

Knows how they are made, kept, shared with other processes and forgotten; nothing of requests. Only their
hashes are kept. A key is never good for more than its parent, whose limits it spends.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from kaiwa.events.config import SessionConfig
from kaiwa.policy.caller import ANYBODY, Caller, Scope
from kaiwa.server.cluster.directory import Directory

PREFIX = "ek_"
MOST_KEYS = 10_000
_KIND: Final = "key"
# What a page may not be given: keys beget no keys.
_NEVER: Final[frozenset[Scope]] = frozenset({"tokens", "admin"})


@dataclass(frozen=True, slots=True)
class Minted:
    """What a key opens until `expires_at` (Unix seconds): sessions that begin with `config`, or what `caller`
    may do. `parent`: the id of who had it made.
    """

    config: SessionConfig | None
    expires_at: int
    caller: Caller = ANYBODY
    parent: str = ANYBODY.id


class EphemeralKeys:
    """The keys that are alive. A full store refuses to mint; it never drops a key that was promised."""

    def __init__(self, *, most: int = MOST_KEYS, now: Callable[[], float] = time.time) -> None:
        self._most = most
        self._now = now
        self._minted: dict[bytes, Minted] = {}

    def mint(
        self, config: SessionConfig, lifetime_s: int, parent: Caller = ANYBODY
    ) -> tuple[str, Minted] | None:
        """Return a new key for one session and what it opens; None when too many are alive."""
        return self._keep(config, lifetime_s, parent, frozenset({"realtime"}))

    def mint_scoped(
        self, scopes: Iterable[Scope], lifetime_s: int, parent: Caller
    ) -> tuple[str, Minted] | None:
        """Return a new key for what its parent may do of these scopes; None when too many are alive."""
        return self._keep(None, lifetime_s, parent, frozenset(scopes))

    def find(self, keys: Iterable[str]) -> Minted | None:
        """Return what the first living key among `keys` opens."""
        for key in keys:
            minted = self._minted.get(_digest(key))
            if minted is not None and self._now() < minted.expires_at:
                return minted
        return None

    def adopt(self, key: str, minted: Minted) -> None:
        """Know a key that another process made, while there is room."""
        if len(self._minted) < self._most:
            self._minted.setdefault(_digest(key), minted)

    def _keep(
        self, config: SessionConfig | None, lifetime_s: int, parent: Caller, scopes: frozenset[Scope]
    ) -> tuple[str, Minted] | None:
        self._forget_expired()
        if len(self._minted) >= self._most:
            return None
        key = PREFIX + secrets.token_hex(16)
        caller = msgspec.structs.replace(
            parent,
            id=f"{parent.id}/{key[len(PREFIX) :][:6]}",
            account=parent.spends,
            scopes=(parent.scopes & scopes) - _NEVER,
        )
        ends = self._now() + lifetime_s
        minted = Minted(config, int(min(ends, parent.good_until or ends)), caller, parent.id)
        self._minted[_digest(key)] = minted
        return key, minted

    def _forget_expired(self) -> None:
        now = self._now()
        self._minted = {name: minted for name, minted in self._minted.items() if now < minted.expires_at}


class SharedKeys:
    """Those that any process of the house made. `directory` None: there is one process."""

    def __init__(self, own: EphemeralKeys, directory: Directory | None = None) -> None:
        self._own = own
        self._directory = directory

    async def share(self, key: str, minted: Minted) -> None:
        """Make a key that was minted here good everywhere."""
        if self._directory is not None:
            lifetime_s = minted.expires_at - time.time()
            await self._directory.keep(_KIND, _digest(key).hex(), msgspec.json.encode(minted), lifetime_s)

    async def find(self, keys: Sequence[str]) -> Minted | None:
        """Return what the first living key among `keys` opens."""
        minted = self._own.find(keys)
        if minted is not None or self._directory is None:
            return minted
        for key in keys:
            if key.startswith(PREFIX):
                kept = await self._directory.kept(_KIND, _digest(key).hex())
                if kept is not None:
                    self._own.adopt(key, msgspec.json.decode(kept, type=Minted))
        return self._own.find(keys)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
