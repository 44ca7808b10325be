"""Which process holds what (conversations, calls, sessions) by kind and name; and that of a process alone.

Knows names and processes; nothing of what is held, nor of how a process is asked.
"""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from kaiwa.server.ids import MARK, mark_of

PROCESS: Final = "process"
"""The kind under which a process itself is found, by its mark."""


class Holder(msgspec.Struct, frozen=True):
    """A process. `address` is where the other processes ask it (host:port, plain HTTP); a loopback one is
    good on its own `machine` only."""

    process: str
    address: str = ""
    machine: str = ""

    def reaches(self, other: Holder) -> bool:
        """Say whether this process can ask that one."""
        host = other.address.rpartition(":")[0]
        here_only = host.startswith("127.") or host in ("[::1]", "localhost")
        return bool(other.address) and (other.machine == self.machine or not here_only)


class Seen(msgspec.Struct, frozen=True):
    """A process that was there `ago_s` ago. `lost`: it died without a word, or cannot reach the directory."""

    holder: Holder
    ago_s: float = 0.0
    lost: bool = False


class Directory(Protocol):
    """Holding is a lease: a process that dies loses what it held within seconds, without a word.

    Names are kept as they are, so hash those that people chose. No method raises because the directory is
    away: every process is then by itself, `claim` says it is ours and `find` finds nothing.
    """

    @property
    def here(self) -> Holder:
        """This process."""
        ...

    async def claim(self, kind: str, name: str, *, instead_of: Holder | None = None) -> Holder:
        """Hold a name until `release`, unless another does; return who holds it now.

        `instead_of`: a holder that was asked and is not there any more; its claim counts no longer.
        """
        ...

    async def find(self, kind: str, name: str) -> Holder | None:
        """Return who holds a name; None: nobody."""
        ...

    async def release(self, kind: str, name: str) -> None:
        """Hold a name no longer. What another holds stays."""
        ...

    async def seen(self) -> list[Seen]:
        """Return every process of the house, this one first, and those that were lost a while ago."""
        ...

    async def keep(self, kind: str, name: str, value: bytes, for_s: float) -> None:
        """Let every process read a value for a while."""
        ...

    async def kept(self, kind: str, name: str) -> bytes | None:
        """Return what `keep` was given; None: it was nothing, or too long ago."""
        ...

    async def secret(self, purpose: str) -> str | None:
        """Return a secret that all processes share, made by the first to ask; None: there are no others."""
        ...


class MemoryDirectory:
    """The directory of a process that is alone: whatever is held is held here."""

    def __init__(self) -> None:
        self.here = Holder(MARK)
        self._held: set[tuple[str, str]] = {(PROCESS, MARK)}
        self._kept: dict[tuple[str, str], tuple[bytes, float]] = {}

    async def claim(self, kind: str, name: str, *, instead_of: Holder | None = None) -> Holder:
        self._held.add((kind, name))
        return self.here

    async def find(self, kind: str, name: str) -> Holder | None:
        return self.here if (kind, name) in self._held else None

    async def release(self, kind: str, name: str) -> None:
        self._held.discard((kind, name))

    async def seen(self) -> list[Seen]:
        return [Seen(self.here)]

    async def keep(self, kind: str, name: str, value: bytes, for_s: float) -> None:
        now = time.monotonic()
        self._kept = {key: kept for key, kept in self._kept.items() if now < kept[1]}
        self._kept[kind, name] = value, now + for_s

    async def kept(self, kind: str, name: str) -> bytes | None:
        value, until = self._kept.get((kind, name), (None, 0.0))
        return value if time.monotonic() < until else None

    async def secret(self, purpose: str) -> str | None:
        return None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        yield


def is_from_here(named: str) -> bool:
    """Say whether this process made an id (`str_…`, `call_…`, `sess_…`)."""
    return mark_of(named) == MARK


def this_machine() -> str:
    """Return a name for what shares loopback addresses with this process."""
    try:
        network = str(Path("/proc/self/ns/net").readlink())
    except OSError:  # not Linux: machines are told apart by their names alone
        network = ""
    return f"{socket.gethostname()} {network}".strip()
