"""One attempt alone: what it keeps for whoever takes it, however late."""

from __future__ import annotations

import asyncio
import random
import time

from tests.gateway.raw_upstream import raw_upstream
from tests.gateway.relaying import ASKED, DONE, deployment, event, streamed, text

from kaiwa.gateway.asking import Asked
from kaiwa.gateway.attempt import Attempt
from kaiwa.protocol.chat.watching import Watcher
from kaiwa.upstream.http1.client import HttpClient, Limits
from kaiwa.upstream.pool.lease import Lease
from kaiwa.upstream.pool.pool import DeploymentPool


async def test_an_answer_that_began_in_time_is_kept_though_nobody_takes_it_soon():
    limit_s, held = 0.3, asyncio.Event()
    async with raw_upstream(streamed(event(text("a")), held, DONE)) as upstream:
        pool = DeploymentPool([deployment(0, upstream)], chance=random.Random(1).random, wall=time.time)
        lease = pool.next("m", set(), None, time.monotonic(), streams=True)
        assert isinstance(lease, Lease)
        asked = Asked(id="str_1", operation="chat/completions", model="m", body=ASKED)
        attempt, taken = Attempt(lease, asked, time.monotonic), _Taken()
        http = HttpClient(Limits(idle_s=30))
        await attempt.open(http)
        await attempt.wait_for_content(limit_s)
        await asyncio.sleep(2 * limit_s)  # its limit passes before it is taken
        attempt.flow_to(taken)
        held.set()
        async with asyncio.timeout(20):
            await taken.over.wait()
        await http.close()
    assert (b"".join(taken.pieces), taken.reason) == (event(text("a")) + DONE, "completed")


class _Taken:
    """Fits `kaiwa.gateway.attempt.Flow`."""

    due_bytes = 0

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reason = ""
        self.over = asyncio.Event()

    def flowed(self, data: bytes) -> None:
        self.pieces.append(data)

    def way(self) -> None:
        """There is none."""

    def grew(self, watcher: Watcher) -> None:
        """Nothing is counted."""

    def flow_ended(self) -> None:
        self.flow_broke("completed")

    def flow_broke(self, reason: str) -> None:
        self.reason = reason
        self.over.set()
