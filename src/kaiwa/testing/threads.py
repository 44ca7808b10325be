"""An asynchronous context held open by a thread with its own loop, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0


@contextmanager
def entered_in_a_thread(make: Callable[[], AbstractAsyncContextManager[T]]) -> Generator[T]:
    """Enter what `make` gives, in its own thread; leave it, and end the thread, with the block.

    Raises what entering raised.
    """
    entered: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def hold() -> None:
        leave = asyncio.Event()
        try:
            async with make() as value:
                entered.set_result((value, asyncio.get_running_loop(), leave))
                await leave.wait()
        except BaseException as failure:
            if entered.done():
                raise
            entered.set_exception(failure)

    thread = threading.Thread(target=lambda: asyncio.run(hold()), name="kaiwa-testing", daemon=True)
    thread.start()
    value, loop, leave = entered.result(START_TIMEOUT_S)
    try:
        yield value
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join(STOP_TIMEOUT_S)
        assert not thread.is_alive(), "the server of this test did not stop"
