"""What goes wrong with a tool, at the place where its function is called: within its deadline and edge."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from kaiwa.testing.faults.strikes import strikes_here
from kaiwa.tools.outcome import AnyTool


async def around_a_call(entry: AnyTool, go: Callable[[AnyTool], Awaitable[Any]]) -> Any:
    """Call the function as the chosen faults would have it. Fits `tools.work.Around`."""
    strikes = strikes_here()
    if slow := strikes.due("tool-slow", tool=entry.name):
        await asyncio.sleep(slow.number("for_s"))
    if strikes.due("tool-hang", tool=entry.name):
        await asyncio.Event().wait()
    if strikes.due("tool-crash", tool=entry.name):
        raise RuntimeError("a fault on demand: the tool crashed")
    if entry.rules.cpu_bound and strikes.due("tool-killed", tool=entry.name):
        return await go(replace(entry, function=end_this_process))
    result = await go(entry)
    if strikes.due("tool-garbage", tool=entry.name):
        return object()
    if large := strikes.due("tool-too-large", tool=entry.name):
        return "x" * int(large.number("size_kb") * 1024)
    return result


def end_this_process(*_: Any, **__: Any) -> None:
    """Do as the kernel does when memory is short. Only ever called in a tool's own process."""
    os.kill(os.getpid(), signal.SIGKILL)
