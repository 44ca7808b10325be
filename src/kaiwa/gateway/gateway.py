"""The relay of a process: takes requests, runs their streams, lets clients come back to them, and drains.

Knows the pool, one HTTP client and the rules; nothing of routes and keys.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from kaiwa.gateway.accounts import Account, FreeOfCharge
from kaiwa.gateway.asking import Asked
from kaiwa.gateway.choosing import Choosing
from kaiwa.gateway.client import Client, EarlyClient
from kaiwa.gateway.following import Followers
from kaiwa.gateway.resuming import Recording
from kaiwa.gateway.stream import Outlet, Rules, Stream
from kaiwa.gateway.streams import Streams
from kaiwa.policy.caller import Caller
from kaiwa.policy.prices import Pricing
from kaiwa.upstream.http1.client import HttpClient
from kaiwa.upstream.pool.pool import DeploymentPool

MOST_RECORDINGS: Final = 1000

Fields = Sequence[tuple[str, str]]


@dataclass(eq=False)
class _Kept:
    """A recording, whose it is, and the timer that ends it when nobody comes back."""

    recording: Recording
    stream: Stream
    timer: asyncio.TimerHandle | None = None


class Gateway:
    """Enter `running` before the first request."""

    def __init__(
        self,
        pool: DeploymentPool,
        http: HttpClient,
        rules: Rules | None = None,
        prices: Pricing | None = None,
    ) -> None:
        self.pool = pool
        self.rules = rules or Rules()
        self.streams = Streams()
        self.followers: Followers | None = None
        """Who follows every request; None: nobody."""
        self._http = http
        self._prices = prices or FreeOfCharge()
        self._kept: dict[str, _Kept] = {}
        self._tasks: asyncio.TaskGroup | None = None
        # Of streams that something must be waited for. A bug in one of them ends it and no other.
        self._runs: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Hold streams that outlive their requests; end them and all connections at the end."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                for kept in [*self._kept.values()]:
                    self._forget(kept)
                self.streams.abandon()
                if self._runs:
                    await asyncio.wait(self._runs)
        await self._http.close()

    async def drain(self) -> None:
        """Take nothing new, and let what runs come to its end."""
        await self.streams.drain(self.rules.drain_s)

    async def answer(self, asked: Asked, client: Client, fields: Fields = ()) -> None:
        """Relay one request; return when its client has got all or left. `fields` go into the head."""
        if asked.resumable and asked.streams and len(self._kept) < MOST_RECORDINGS:
            await self._record(asked, client, fields)
            return
        stream = self._stream(asked, self._choosing(asked), client, fields)
        self.streams.hold(stream)
        client.listen(stream)
        await stream.run()
        try:
            await stream.over()
        finally:
            stream.abandon()

    def begin(self, asked: Asked, client_of: Callable[[], EarlyClient], fields: Callable[[], Fields]) -> None:
        """As `answer`, for a client that needs no task. Where it may be, the question is sent before this
        returns. Client and `fields` are made behind that, while the service is at work.
        """
        choosing = self._choosing(asked)
        asks = choosing.streams and choosing.first_now(self._http, self.rules.first_token_s)
        client = client_of()
        stream = self._stream(asked, choosing, client)

        def go_on(_: Stream) -> None:
            run = asyncio.get_running_loop().create_task(_run(stream, client))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)

        if asks and choosing.attempt is not None:
            stream.begun(choosing.attempt, go_on)
        self.streams.hold(stream)
        client.bear(fields())
        if not asks:
            go_on(stream)
        client.listen(stream)

    def may_resume(self, stream_id: str, after: int, caller: Caller) -> bool:
        """Say whether a caller can read on a stream from there."""
        kept = self._kept.get(stream_id)
        own = kept is not None and kept.stream.asked.caller.id == caller.id
        return kept is not None and own and kept.recording.has(after)

    async def resume(self, stream_id: str, after: int, client: Client) -> None:
        """Send a client what it missed and what is to come; right after `may_resume` said yes."""
        kept = self._kept[stream_id]
        read = kept.recording.follow(client, after)
        if kept.timer is not None and not kept.recording.over:
            kept.timer.cancel()
            kept.timer = None
        await read.wait()

    def _choosing(self, asked: Asked) -> Choosing:
        following = None if self.followers is None else self.followers.follow(asked)
        return Choosing(self.pool, asked, time.monotonic, following)

    def _stream(self, asked: Asked, choosing: Choosing, outlet: Outlet, fields: Fields = ()) -> Stream:
        account = Account(asked.hold, self._prices, asked.model, asked.size_bytes)
        stream = Stream(asked, choosing, self._http, account, outlet, self.rules, time.monotonic)
        stream.fields = fields
        return stream

    async def _record(self, asked: Asked, client: Client, fields: Fields) -> None:
        assert self._tasks is not None, "the gateway runs"
        recording = Recording(asked.id)
        kept = _Kept(recording, self._stream(asked, self._choosing(asked), recording, fields))
        recording.tell(_Grace(self, kept))
        self._kept[asked.id] = kept
        read = recording.follow(client)
        self._tasks.create_task(self._run_kept(kept))
        await read.wait()

    async def _run_kept(self, kept: _Kept) -> None:
        self.streams.hold(kept.stream)
        await kept.stream.run()
        await kept.stream.over()
        self.await_return(kept)

    def await_return(self, kept: _Kept) -> None:
        """Give whoever left some time to come back."""
        if kept.timer is None:
            loop = asyncio.get_running_loop()
            kept.timer = loop.call_later(self.rules.grace_s, self._forget, kept)

    def _forget(self, kept: _Kept) -> None:
        if kept.timer is not None:
            kept.timer.cancel()
        self._kept.pop(kept.stream.asked.id, None)
        kept.stream.client_gone()


async def _run(stream: Stream, client: Client) -> None:
    """A bug must not leave a client waiting."""
    whole = False
    try:
        await stream.run()
        whole = True
    finally:
        if not whole:
            client.cut()


class _Grace:
    """Hears of the clients of a recording: one that left may come back."""

    def __init__(self, gateway: Gateway, kept: _Kept) -> None:
        self._gateway = gateway
        self._kept = kept

    def client_gone(self) -> None:
        self._gateway.await_return(self._kept)

    def client_full(self) -> None:
        self._kept.stream.client_full()

    def client_ready(self) -> None:
        self._kept.stream.client_ready()
