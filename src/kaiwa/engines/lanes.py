"""Where models run: three worker threads for the whole process, off the event loop.

One lane a kind of work, so that a long recognition never holds up hearing or speaking. What waits in a
lane can be cancelled; what runs is finished. The number of live sessions bounds what can wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Lane(ThreadPoolExecutor):
    """One worker thread that knows whether it is wanted."""

    def __init__(self, name: str) -> None:
        super().__init__(1, name)
        self._lock = Lock()
        self._unfinished = 0

    @property
    def busy(self) -> bool:
        """True while work runs or waits."""
        return self._unfinished > 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with self._lock:
            self._unfinished += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except RuntimeError:  # it was shut down
            self._finished()
            raise
        future.add_done_callback(self._finished)
        return future

    def _finished(self, _: Future[Any] | None = None) -> None:
        with self._lock:
            self._unfinished -= 1


class Lanes:
    def __init__(self) -> None:
        self.hearing = Lane("kaiwa-hearing")
        self.recognition = Lane("kaiwa-recognition")
        self.voice = Lane("kaiwa-voice")

    def close(self) -> None:
        for lane in (self.hearing, self.recognition, self.voice):
            lane.shutdown(wait=False, cancel_futures=True)


async def run_in(lane: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(lane, work)
