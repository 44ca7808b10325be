"""One job's work: the function called where it belongs, tried again, within its deadline.

Whatever a function raises becomes an Outcome; exception texts stay out of it and out of the log, unless
raised as ToolError. Knows loop, threads and processes; knows no conversation and no other job.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from kaiwa.errors import ToolError
from kaiwa.tools.context import ToolContext
from kaiwa.tools.outcome import AnyTool, Outcome, crashed, late, refused
from kaiwa.tools.processes import Processes
from kaiwa.tools.results import write_result

POOL_THREADS: Final = 16
_log = logging.getLogger(__name__)
# One pool for all conversations; it starts no thread before the first synchronous tool runs. Full: a call
# waits for a thread, at most until its own deadline.
_pool: Final = ThreadPoolExecutor(max_workers=POOL_THREADS, thread_name_prefix="kaiwa-tool")


Around = Callable[[AnyTool, Callable[[AnyTool], Awaitable[Any]]], Awaitable[Any]]
AROUND: Final[ContextVar[Around | None]] = ContextVar("kaiwa_around", default=None)
"""Who stands around each call of a function, for those who try what happens when it goes wrong; None: nobody.
It gets the tool and what calls it, within the call's deadline and its edge."""


class Workplace:
    """Where functions run: coroutines on the loop, plain functions in threads, heavy ones in processes."""

    def __init__(self, pool: Executor | None, processes: Processes, max_output_bytes: int) -> None:
        self._pool = pool or _pool
        self._processes = processes
        self._max_output_bytes = max_output_bytes

    async def work(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> Outcome:
        """Do the work and return how it came out. Raises CancelledError only when cancelled from outside."""
        try:
            result = await self._within_deadline(entry, context, arguments)
            return Outcome(write_result(result, self._max_output_bytes), "completed")
        except ToolError as refusal:
            return refused(str(refusal))
        except _LateError:
            return late(entry)
        except asyncio.CancelledError as cancelled:
            if _stopped():
                raise
            _log_crash(entry, context, cancelled)  # raised by the function itself; nobody stopped the call
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - the edge of a tool
            _log_crash(entry, context, fault)
        return crashed(entry)

    async def _within_deadline(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> Any:
        deadline = asyncio.timeout(entry.timeout_s)
        try:
            async with deadline:
                return await self._tries(entry, context, arguments)
        except TimeoutError:
            if deadline.expired():
                raise _LateError from None
            raise

    async def _tries(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> Any:
        pause_s = entry.rules.retry_pause_s
        for _ in range(entry.rules.retries):
            try:
                return await self._call(entry, context, arguments)
            except ToolError:
                raise
            except Exception as fault:  # noqa: BLE001 - the edge of a tool
                facts = {"tool": entry.name, "call_id": context.call_id, "error": type(fault).__name__}
                _log.info("tool is tried again", extra=facts)
            await asyncio.sleep(pause_s)
            pause_s *= 2
        return await self._call(entry, context, arguments)

    async def _call(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> Any:
        around = AROUND.get()
        if around is None:
            return await self._run(context, arguments, entry)
        return await around(entry, partial(self._run, context, arguments))

    async def _run(self, context: ToolContext, arguments: dict[str, Any], entry: AnyTool) -> Any:
        if entry.rules.cpu_bound:
            return await self._processes.call(entry, context, arguments)
        ahead = (context,) if entry.signature.takes_context else ()
        if inspect.iscoroutinefunction(entry.function):
            return await entry.function(*ahead, **arguments)
        variables = contextvars.copy_context()

        def in_thread() -> Any:
            return variables.run(_unstopped, entry, ahead, arguments)

        return await asyncio.get_running_loop().run_in_executor(self._pool, in_thread)


class _LateError(Exception):
    """The deadline of the call has passed."""


def _stopped() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _unstopped(entry: AnyTool, ahead: tuple[ToolContext, ...], arguments: dict[str, Any]) -> Any:
    try:
        return entry.function(*ahead, **arguments)
    except StopIteration as stray:
        # A future cannot carry StopIteration: the call would never settle.
        raise RuntimeError("a tool raised StopIteration") from stray


def _log_crash(entry: AnyTool, context: ToolContext, fault: BaseException) -> None:
    """Log where the function broke, without the exception's text, which may quote what people said."""
    steps = traceback.extract_tb(fault.__traceback__)[-5:]
    where = [f"{step.filename}:{step.lineno} {step.name}" for step in steps]
    named = {"tool": entry.name, "call_id": context.call_id}
    facts = {**named, "error": type(fault).__name__, "where": where}
    _log.error("tool crashed", extra=facts)
