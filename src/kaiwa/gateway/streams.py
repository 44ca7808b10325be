"""Every stream that runs: to be stopped by its id, to be counted, and to be waited for when the server ends.

Knows ids and reasons; nothing of bytes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from kaiwa.gateway.ended import StreamEnded
from kaiwa.gateway.reasons import Reason
from kaiwa.gateway.stream import Stream
from kaiwa.policy.caller import Caller


class Streams:
    """The streams of a process. `ended` counts them by reason; a server that ends is `draining`."""

    def __init__(self) -> None:
        self._running: dict[str, Stream] = {}
        self._changed = asyncio.Event()
        self.ended: Counter[Reason] = Counter()
        self.draining = False
        self._hear: list[Callable[[StreamEnded], None]] = []

    @property
    def running(self) -> int:
        return len(self._running)

    def tell(self, hear: Callable[[StreamEnded], None]) -> None:
        """Let somebody hear of every stream when it is over."""
        self._hear.append(hear)

    def hold(self, stream: Stream) -> None:
        """Know a stream until it is over."""
        self._running[stream.asked.id] = stream
        stream.tell(self._forget)

    def abandon(self) -> None:
        """The house ends: so does what still runs."""
        for stream in [*self._running.values()]:
            stream.abandon()

    def stop(self, stream_id: str, caller: Caller) -> bool:
        """End a stream of this caller, or of anybody's for who may administer; say whether it ran."""
        stream = self._running.get(stream_id)
        if stream is None or not _may_stop(caller, stream.asked.caller):
            return False
        stream.stop("stopped")
        return True

    async def drain(self, bound_s: float) -> None:
        """Let what runs come to its end, within bounds; stop what is left."""
        self.draining = True
        try:
            async with asyncio.timeout(bound_s):
                while self._running:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            for stream in [*self._running.values()]:
                stream.stop("shut_down")

    def _forget(self, stream: Stream) -> None:
        del self._running[stream.asked.id]
        assert stream.ended is not None, "it tells when it is over"
        self.ended[stream.ended.reason] += 1
        for hear in self._hear:
            hear(stream.ended)
        self._changed.set()


def _may_stop(caller: Caller, owner: Caller) -> bool:
    return caller.id == owner.id or (caller.may("admin") and not caller.limits)
