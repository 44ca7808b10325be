"""The directory of several processes, in Redis: one key for each name that is held, with a lease.

Each process renews what it holds, in one batch; what a dead one held is free when the lease runs out. Knows
keys and leases; nothing of what is held.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

from kaiwa.errors import ConfigError, MissingPackage
from kaiwa.server.cluster.directory import PROCESS, Holder, Seen
from kaiwa.server.ids import MARK

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")
log = logging.getLogger("kaiwa.cluster")

LEASE_S: Final = 10.0
RENEWALS: Final = 3
"""In each lease: two may fail before somebody else thinks that we are gone."""
ANSWER_S: Final = 1.0
AWAY_S: Final = 1.0
"""After a failure nobody waits for Redis so long."""
_BATCH: Final = 500
# Who holds it afterwards. ARGV: us, the lease in ms, and a claim that counts no longer.
_CLAIM: Final = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and held ~= ARGV[3] then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
LOST_S: Final = 600.0
"""So long a process that died without a word is told of."""
_MOST_SEEN: Final = 256
# A process is there. ARGV: the process, and how long it is told of, in ms.
_SEE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# Redis' clock in ms, then processes and their moments. ARGV: how many at most.
_SEEN: Final = """
local time = redis.call('TIME')
local seen = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
table.insert(seen, 1, tostring(time[1] * 1000 + math.floor(time[2] / 1000)))
return seen
"""
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisDirectory:
    """Fits `directory.Directory`, inside `running`.

    Raises ConfigError when Redis' client is not installed or the address is none.
    """

    def __init__(
        self,
        url: str,
        address: str,
        machine: str,
        *,
        mark: str = MARK,
        lease_s: float = LEASE_S,
        prefix: str = "kaiwa:directory",
    ) -> None:
        self.here = Holder(mark, address, machine)
        self._us = msgspec.json.encode(self.here)
        self._redis = _client(url)
        self._lease_s = lease_s
        self._prefix = prefix
        self._held: set[tuple[str, str]] = {(PROCESS, mark)}
        self._away_until = 0.0

    def announce(self, address: str) -> None:
        """Say where this process can be asked. Before `running`."""
        self.here = msgspec.structs.replace(self.here, address=address)
        self._us = msgspec.json.encode(self.here)

    @property
    def is_away(self) -> bool:
        """Whether Redis failed a moment ago."""
        return time.monotonic() < self._away_until

    async def claim(self, kind: str, name: str, *, instead_of: Holder | None = None) -> Holder:
        before = b"" if instead_of is None else msgspec.json.encode(instead_of)
        given = await self._asked(self._claiming(kind, name, before))
        holder = self.here if given is None else msgspec.json.decode(cast(bytes, given), type=Holder)
        if holder == self.here:
            self._held.add((kind, name))
        return holder

    async def find(self, kind: str, name: str) -> Holder | None:
        if (kind, name) in self._held:
            return self.here
        given = await self._asked(self._redis.get(self._key(kind, name)))
        return None if given is None else msgspec.json.decode(cast(bytes, given), type=Holder)

    async def release(self, kind: str, name: str) -> None:
        self._held.discard((kind, name))
        await self._asked(cast(Any, self._redis).eval(_RELEASE, 1, self._key(kind, name), self._us))

    async def secret(self, purpose: str) -> str | None:
        key = f"{self._prefix}:secret:{purpose}"
        await self._asked(self._redis.set(key, secrets.token_urlsafe(48), nx=True))
        given = await self._asked(self._redis.get(key))
        return None if given is None else cast(bytes, given).decode()

    async def keep(self, kind: str, name: str, value: bytes, for_s: float) -> None:
        await self._asked(self._redis.set(self._key(kind, name), value, px=max(1, round(for_s * 1000))))

    async def kept(self, kind: str, name: str) -> bytes | None:
        given = await self._asked(self._redis.get(self._key(kind, name)))
        return cast("bytes | None", given)

    async def seen(self) -> list[Seen]:
        """Return the processes of the house; only this one while Redis is away."""
        asked = cast(Any, self._redis).eval(_SEEN, 1, self._seen_key, _MOST_SEEN)
        now, *told = cast(list[bytes], await self._asked(asked) or [b"0"])
        others: list[Seen] = []
        for process, at in zip(told[::2], told[1::2], strict=True):
            holder = msgspec.json.decode(process, type=Holder)
            ago_s = max(0.0, (float(now) - float(at)) / 1000)
            if holder != self.here:
                others.append(Seen(holder, round(ago_s, 1), lost=ago_s > self._lease_s))
        others.sort(key=lambda one: (one.holder.machine, one.holder.process))
        return [Seen(self.here), *others]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Be found while the block lasts, and hold nothing afterwards."""
        await self._renew()
        leaving = asyncio.Event()
        renewing = asyncio.create_task(self._go_on_renewing(leaving))
        try:
            yield
        finally:
            # Not by cancelling it: while it waits for Redis, `asyncio.wait_for` below may swallow that.
            leaving.set()
            await renewing
            held, self._held = [*self._held], set[tuple[str, str]]()
            for kind, name in held:
                await self._asked(cast(Any, self._redis).eval(_RELEASE, 1, self._key(kind, name), self._us))
            await self._asked(self._redis.zrem(self._seen_key, self._us))
            await self.close()

    async def close(self) -> None:
        """Close the connections. What is held still is held until its lease runs out."""
        await self._redis.aclose()

    async def _go_on_renewing(self, leaving: asyncio.Event) -> None:
        while not leaving.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / RENEWALS):
                    await leaving.wait()
            if not leaving.is_set():
                await self._renew()

    async def _renew(self) -> None:
        """Hold on to everything; what another process took while we were away is its own."""
        lost_ms = round(LOST_S * 1000)
        await self._asked(cast(Any, self._redis).eval(_SEE, 1, self._seen_key, self._us, lost_ms))
        held = [*self._held]
        for start in range(0, len(held), _BATCH):
            some = held[start : start + _BATCH]
            answers = await self._asked(self._claimed(some))
            for (kind, name), holder in zip(some, answers or (), strict=False):
                if holder != self._us and (kind, name) in self._held:
                    self._held.discard((kind, name))
                    log.warning("another process took what this one held", extra={"kind": kind})

    async def _claimed(self, names: Sequence[tuple[str, str]]) -> list[bytes]:
        async with self._redis.pipeline(transaction=False) as batch:
            for kind, name in names:
                cast(Any, batch).eval(_CLAIM, 1, self._key(kind, name), self._us, self._lease_ms, b"")
            return cast(list[bytes], await batch.execute())

    def _claiming(self, kind: str, name: str, before: bytes) -> Awaitable[Any]:
        key = self._key(kind, name)
        return cast(Any, self._redis).eval(_CLAIM, 1, key, self._us, self._lease_ms, before)

    @property
    def _seen_key(self) -> str:
        return f"{self._prefix}:seen"

    @property
    def _lease_ms(self) -> int:
        return round(self._lease_s * 1000)

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}:{name}"

    async def _asked(self, answer: Awaitable[T]) -> T | None:
        """Wait for Redis, not long; None: it is away."""
        from redis.exceptions import RedisError

        if self.is_away:
            _not_awaited(answer)
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except (RedisError, OSError, TimeoutError):
            if not self.is_away:
                log.warning("Redis is away: this process finds no others", extra={"for_s": AWAY_S})
            self._away_until = time.monotonic() + AWAY_S
            return None


def _not_awaited(answer: Awaitable[Any]) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()


def _client(url: str) -> Redis:
    try:
        from redis.asyncio import Redis
    except ImportError as missing:
        raise MissingPackage("KAIWA_REDIS_URL", "redis", "redis") from missing
    try:
        return cast(Any, Redis).from_url(url, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S)
    except ValueError:
        remedy = "Write redis://host:6379 or rediss://…"
        raise ConfigError("KAIWA_REDIS_URL", "is no address of Redis.", remedy) from None
