"""The books of several processes, in Redis: one script call is one atomic step. Fits `holds.Ledger`.

A reservation is one round trip that its request waits for. What comes later (more, settling, renewing) goes
through one bounded queue and one task that writes whole batches, so that `spend` and `settle` never wait.
A hold's lease is renewed while it lives; that of a killed process runs out, and what was not spent returns.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast
from weakref import WeakValueDictionary

from kaiwa.errors import ConfigError, MissingPackage, UpstreamError
from kaiwa.policy.amounts import KINDS, NOTHING, PERIOD_S, Amount, Limit, Standing, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold, LimitReached
from kaiwa.policy.memory import MemoryLedger
from kaiwa.policy.running import CountedHold, FreeHold

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger("kaiwa.policy")

When = Literal["open", "closed"]
LEASE_S: Final = 60.0
ANSWER_S: Final = 1.0
# After a failure nobody waits for Redis so long.
AWAY_S: Final = 1.0
SETTLE_TRIES: Final = 60
PARTING_S: Final = 5.0
# Full: the order is dropped, and the lease of its hold runs out.
MOST_ORDERS: Final = 10_000
_BATCH: Final = 128
_SCRIPT: Final = files("kaiwa.policy").joinpath("ledger.lua").read_text("utf-8")
_DIGEST: Final = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_NUMBER: Final = {kind: number for number, kind in enumerate(KINDS, 1)}


class Answer(NamedTuple):
    """What the script said: whether it went well, else which limit; what was reserved; how limits stand."""

    ok: bool
    reached: Limit | None
    amount: Amount
    standing: tuple[Standing, ...]

    def refusal(self) -> LimitReached:
        assert self.reached is not None, "a refusal names its limit"
        wait = next(standing.reset_s for standing in self.standing if standing.limit == self.reached)
        return LimitReached(limit=self.reached, retry_after_s=wait, standing=self.standing)


class Order(NamedTuple):
    """A call of the script. `told` gets the answer, or None when there was none."""

    caller: Caller
    act: str
    hold_id: str
    amounts: tuple[Amount, ...] = ()
    told: Callable[[Answer | None], None] | None = None
    tries: int = 1
    """How often it is sent when no answer comes."""


class RedisLedger:
    """`away`: without Redis every process counts by itself ("open"), or requests are refused ("closed").

    `clock` is for tests; None: the clock of Redis, so that machines need not agree on the time.
    Raises ConfigError when the client of Redis is not installed or the address is none.
    """

    def __init__(
        self,
        url: str,
        *,
        away: When = "open",
        lease_s: float = LEASE_S,
        prefix: str = "kaiwa:limits",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._redis = _client(url)
        self._away = away
        self._lease_s = lease_s
        self._prefix = prefix
        self._clock = clock
        self._meanwhile = MemoryLedger(clock or time.time)
        self._away_until = 0.0
        self._orders: asyncio.Queue[Order] = asyncio.Queue(MOST_ORDERS)
        self._live: WeakValueDictionary[str, RedisHold] = WeakValueDictionary()

    @property
    def is_away(self) -> bool:
        """Whether Redis failed a moment ago."""
        return time.monotonic() < self._away_until

    @property
    def refuses_when_away(self) -> bool:
        return self._away == "closed"

    async def reserve(self, caller: Caller, want: Want) -> Hold | LimitReached:
        if not caller.limits:
            return FreeHold(want.most)
        order = Order(caller, "reserve", secrets.token_hex(8), (want.most, want.needed))
        answer = None if self.is_away else (await self._ask([order]))[0]
        if answer is None:
            return await self._without(caller, want)
        if not answer.ok:
            return answer.refusal()
        hold = RedisHold(self, caller, order.hold_id, answer, ahead=want.ahead)
        self._live[order.hold_id] = hold
        return hold

    def reserve_now(self, caller: Caller, want: Want) -> Hold | LimitReached | None:
        return None if caller.limits else FreeHold(want.most)

    async def standing(self, caller: Caller) -> tuple[Standing, ...]:
        if not caller.limits:
            return ()
        answer = (await self._ask([Order(caller, "standing", "")]))[0]
        return answer.standing if answer is not None else ()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.TaskGroup() as tasks:
                writing, renewing = tasks.create_task(self._write()), tasks.create_task(self._renew())
                try:
                    yield
                    with suppress(TimeoutError):
                        async with asyncio.timeout(PARTING_S):
                            await self._orders.join()
                finally:
                    writing.cancel()
                    renewing.cancel()
        finally:
            await self._redis.aclose()

    def give(self, order: Order) -> None:
        """Have an order carried out soon."""
        try:
            self._orders.put_nowait(order)
        except asyncio.QueueFull:
            log.warning("limits: too much waits for Redis; leases will run out instead")
            if order.told is not None:
                order.told(None)

    def part(self, hold_id: str) -> None:
        """Renew a hold no longer."""
        self._live.pop(hold_id, None)

    async def _without(self, caller: Caller, want: Want) -> Hold | LimitReached:
        if self._away == "open":
            return await self._meanwhile.reserve(caller, want)
        text = "Limits cannot be checked at the moment. Try again shortly."
        raise UpstreamError("limits_unavailable", text, retryable=True)

    async def _write(self) -> None:
        while True:
            orders = [await self._orders.get()]
            while len(orders) < _BATCH and not self._orders.empty():
                orders.append(self._orders.get_nowait())
            await self._carry_out(orders)
            for _ in orders:
                self._orders.task_done()

    async def _carry_out(self, orders: Sequence[Order]) -> None:
        waiting = orders
        while waiting:
            answers = await self._ask(waiting)
            unheard = [order for order, answer in zip(waiting, answers, strict=True) if answer is None]
            for order, answer in zip(waiting, answers, strict=True):
                if order.told is not None and (answer is not None or order.tries == 1):
                    order.told(answer)
            waiting = [
                order._replace(act="settle_again", tries=order.tries - 1)
                for order in unheard
                if order.tries > 1
            ]
            if waiting:
                await asyncio.sleep(AWAY_S)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            # No name stays bound to a hold while this sleeps: one that is forgotten must be able to go.
            for order in [hold.renewal for hold in self._live.values()]:
                self.give(order)

    async def _ask(self, orders: Sequence[Order]) -> list[Answer | None]:
        """Call the script for each order, in one round trip."""
        from redis.exceptions import NoScriptError, RedisError

        calls = [self._words(order) for order in orders]
        try:
            async with asyncio.timeout(ANSWER_S):
                replies = await self._send(calls)
                if any(isinstance(reply, NoScriptError) for reply in replies):
                    await cast(Any, self._redis).script_load(_SCRIPT)
                    missed = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
                    for at, reply in zip(missed, await self._send([calls[at] for at in missed]), strict=True):
                        replies[at] = reply
        except (RedisError, OSError, TimeoutError) as failed:
            self._note_away(failed)
            return [None] * len(orders)
        self._note_back()
        return [_answer(order, reply) for order, reply in zip(orders, replies, strict=True)]

    async def _send(self, calls: Sequence[Sequence[str | int]]) -> list[Any]:
        pipe = cast(Any, self._redis.pipeline(transaction=False))
        for call in calls:
            pipe.execute_command("EVALSHA", _DIGEST, 3, *call)
        return await pipe.execute(raise_on_error=False)

    def _words(self, order: Order) -> list[str | int]:
        now_ms = 0 if self._clock is None else int(self._clock() * 1000)
        account = hashlib.sha256(order.caller.spends.encode()).hexdigest()[:32]
        keys = [f"{self._prefix}:{{{account}}}:{part}" for part in ("counts", "leases", "grants")]
        amounts = (*order.amounts, NOTHING, NOTHING, NOTHING)[:3]
        numbers = [amount.of(kind) for amount in amounts for kind in KINDS]
        bounds = [
            word
            for limit in order.caller.limits
            for word in (_NUMBER[limit.kind], PERIOD_S[limit.per], limit.most)
        ]
        return [*keys, order.act, now_ms, int(self._lease_s * 1000), order.hold_id, *numbers, *bounds]

    def _note_away(self, failed: Exception) -> None:
        if not self._away_until:
            log.warning("limits: Redis does not answer", extra={"cause": type(failed).__name__})
        self._away_until = time.monotonic() + AWAY_S

    def _note_back(self) -> None:
        if self._away_until:
            log.info("limits: Redis answers again")
            self._away_until = 0.0


class RedisHold(CountedHold):
    """Asks for more when three quarters of its share are used up, and goes on until it hears the answer."""

    def __init__(
        self, ledger: RedisLedger, caller: Caller, hold_id: str, answer: Answer, *, ahead: bool
    ) -> None:
        super().__init__(caller, answer.amount, ahead=ahead)
        self.id = hold_id
        self._standing = self._newest = answer.standing
        self._ledger = ledger
        self._asked: Amount | None = None
        self._final: Amount | None = None

    @property
    def standing(self) -> tuple[Standing, ...]:
        return self._standing

    def _known(self) -> tuple[Standing, ...]:
        return self._newest

    @property
    def renewal(self) -> Order:
        """What keeps its lease, and tells what is used of the present share."""
        return Order(self.caller, "renew", self.id, (self._spent,))

    def spend(self, used: Amount) -> bool:
        may_go_on = super().spend(used)
        if may_go_on and self._ledger.is_away and self._ledger.refuses_when_away and self._over(self._share):
            self.reached = self.caller.limits[0]
            return False
        return may_go_on

    def _is_short(self) -> bool:
        if self._asked is not None or self._ledger.is_away:
            return False
        return any(4 * self._spent.of(kind) > 3 * self._share.of(kind) for kind in self._kinds)

    def _ask_for_more(self, want: Want) -> None:
        self._asked = self._spent
        amounts = (want.most, want.needed, self._asked)
        self._ledger.give(Order(self.caller, "exchange", self.id, amounts, self._hear))

    def _hear(self, answer: Answer | None) -> None:
        settled, self._asked = self._asked, None
        assert settled is not None, "an answer follows a question"
        if answer is not None:
            self._newest = answer.standing
            self._took(answer.amount if answer.ok else answer.refusal(), settled)
            if not self._ahead and not self._ended and self._is_short():
                self._ask_for_more(self._more())  # what was used while the ledger was asked
        if self._final is not None:
            self._write_end(self._final - self._before)

    def _end(self, actual: Amount) -> None:
        self._ledger.part(self.id)
        if self._asked is None:
            self._write_end(actual)
        else:  # first the answer to what was asked: it says what is charged already
            self._final = actual + self._before

    def _write_end(self, actual: Amount) -> None:
        self._ledger.give(Order(self.caller, "settle", self.id, (actual,), tries=SETTLE_TRIES))


def _answer(order: Order, reply: Any) -> Answer | None:
    if isinstance(reply, Exception):
        log.warning("limits: Redis refused a step", extra={"cause": type(reply).__name__})
        return None
    ok, reached, now_ms, requests, tokens, money, *used = (int(number) for number in reply)
    limits = order.caller.limits
    standing = tuple(
        Standing(
            limit=limit,
            remaining=max(0, limit.most - so_far),
            reset_s=PERIOD_S[limit.per] - now_ms / 1000 % PERIOD_S[limit.per],
        )
        for limit, so_far in zip(limits, used, strict=True)
    )
    amount = Amount(requests=requests, tokens=tokens, money=money)
    return Answer(bool(ok), limits[reached - 1] if reached else None, amount, standing)


def _client(url: str) -> Redis:
    try:
        from redis.asyncio import Redis
    except ImportError as missing:
        raise MissingPackage("KAIWA_REDIS_URL", "redis", "redis") from missing
    try:
        return cast(Any, Redis).from_url(url, socket_connect_timeout=ANSWER_S)
    except ValueError:
        raise ConfigError(
            "KAIWA_REDIS_URL", "is no address of Redis.", "Write redis://host:6379 or rediss://…"
        ) from None
