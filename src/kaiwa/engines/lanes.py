"""Where models run: three worker threads for the whole process, off the event loop.

One lane a kind of work, so that a long recognition never holds up hearing or speaking. What waits in a
lane can be cancelled; what runs is finished. The number of live sessions bounds what can wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Lanes:
    def __init__(self) -> None:
        self.hearing: Executor = ThreadPoolExecutor(1, "kaiwa-hearing")
        self.recognition: Executor = ThreadPoolExecutor(1, "kaiwa-recognition")
        self.voice: Executor = ThreadPoolExecutor(1, "kaiwa-voice")

    def close(self) -> None:
        for lane in (self.hearing, self.recognition, self.voice):
            lane.shutdown(wait=False, cancel_futures=True)


async def run_in(lane: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(lane, work)
