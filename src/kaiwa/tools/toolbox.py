"""Runs an agent's tools, one call at a time or many. Knows loop, threads and deadlines; no session.

This is the edge of a tool: whatever a function raises becomes one ToolSettled. Arguments, results and
exception texts stay out of the log's message and, unless raised as ToolError, out of the output.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final

from kaiwa.errors import ToolError
from kaiwa.events.tools import ToolCall, ToolEvent, ToolProgress, ToolSettled, ToolSpec
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import Tool
from kaiwa.tools.results import MAX_OUTPUT_BYTES, write_error, write_result
from kaiwa.tools.signature import ArgumentsError

POOL_THREADS: Final = 16

AnyTool = Tool[..., Any]

_log = logging.getLogger(__name__)
# One pool for all conversations; it starts no thread before the first synchronous tool runs. Full: a call
# waits for a thread, at most until its own deadline.
_pool: Final = ThreadPoolExecutor(max_workers=POOL_THREADS, thread_name_prefix="kaiwa-tool")


class AgentToolBox:
    """The tools of one agent; fits `kaiwa.interfaces.ToolBox`. One value may serve many conversations."""

    def __init__(
        self,
        agent: Agent,
        *,
        language: str | None = None,
        pool: Executor | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> None:
        self._tools = {entry.name: entry for entry in agent.tools}
        self._specs = agent.specs
        self._language = language or agent.language
        self._pool = pool or _pool
        self._max_output_bytes = max_output_bytes

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self._specs

    async def run(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> None:
        """Carry out the call; report any progress and exactly one ToolSettled. Raises nothing.

        Cancelling the task stops the call and reports nothing more. A synchronous function cannot be
        stopped: it sees `ToolContext.cancelled`, and what it returns is dropped.
        """
        started = time.monotonic()
        loop = asyncio.get_running_loop()

        def deliver(fraction: float, text: str) -> None:
            if not context.cancelled:
                report(ToolProgress(call_id=call.call_id, fraction=fraction, text=text))

        context = ToolContext(call.call_id, self._language, partial(_hand_over, loop, deliver))
        try:
            settled, outcome = await self._settle(call, context)
        finally:
            context.cancel()
        report(settled)
        facts = {"tool": call.name[:64], "call_id": call.call_id, "outcome": outcome}
        _log.info("tool call settled", extra={**facts, "elapsed_ms": (time.monotonic() - started) * 1000})

    async def _settle(self, call: ToolCall, context: ToolContext) -> tuple[ToolSettled, str]:
        def failed(error: str, message: str | None = None) -> ToolSettled:
            return ToolSettled(call_id=call.call_id, output=write_error(error, message), failed=True)

        entry = self._tools.get(call.name)
        if entry is None:
            known = f"there are: {', '.join(self._tools)}" if self._tools else "there are none"
            return failed(f"There is no tool '{call.name[:64]}'; {known}."), "unknown"
        try:
            arguments = entry.signature.read(call.arguments)
            result = await self._call_in_time(entry, context, arguments)
            output = write_result(result, self._max_output_bytes)
            return ToolSettled(call_id=call.call_id, output=output), "completed"
        except ArgumentsError as wrong:
            return failed(str(wrong)), "arguments"
        except ToolError as refusal:
            return failed(str(refusal)), "refused"
        except _LateError:
            return failed("Function execution timed out", _late_sentence(entry)), "timed out"
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            _log_crash(call, cancelled)  # raised by the function itself; nobody stopped the call
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - the edge of a tool
            _log_crash(call, fault)
        return failed("Function execution failed", _crash_sentence(entry)), "crashed"

    async def _call_in_time(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> Any:
        deadline = asyncio.timeout(entry.timeout_s)
        try:
            async with deadline:
                return await self._call(entry, context, arguments)
        except TimeoutError:
            if deadline.expired():
                raise _LateError from None
            raise

    async def _call(self, entry: AnyTool, context: ToolContext, arguments: dict[str, Any]) -> Any:
        ahead = (context,) if entry.signature.takes_context else ()
        if inspect.iscoroutinefunction(entry.function):
            return await entry.function(*ahead, **arguments)
        variables = contextvars.copy_context()

        def work() -> Any:
            return variables.run(_in_thread, entry, ahead, arguments)

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


class _LateError(Exception):
    """The deadline of the call has passed."""


def _in_thread(entry: AnyTool, ahead: tuple[ToolContext, ...], arguments: dict[str, Any]) -> Any:
    try:
        return entry.function(*ahead, **arguments)
    except StopIteration as stray:
        # A future cannot carry StopIteration: the call would never settle.
        raise RuntimeError("a tool raised StopIteration") from stray


def _hand_over(
    loop: asyncio.AbstractEventLoop, deliver: Callable[[float, str], None], fraction: float, text: str
) -> None:
    """Deliver on the loop's thread, from whichever thread the tool speaks."""
    if _running_loop() is loop:
        deliver(fraction, text)
        return
    with suppress(RuntimeError):  # the loop is closed: nobody listens any more
        loop.call_soon_threadsafe(deliver, fraction, text)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _crash_sentence(entry: AnyTool) -> str:
    doubt = " Whether it changed anything is unknown." if entry.changes else ""
    return f"{entry.name} broke off because of an internal fault.{doubt}"


def _late_sentence(entry: AnyTool) -> str:
    doubt = " Whether it changed anything is unknown." if entry.changes else ""
    return f"{entry.name} gave no answer within {entry.timeout_s:g} seconds.{doubt}"


def _log_crash(call: ToolCall, fault: BaseException) -> None:
    """Log where the function broke, without the exception's text, which may quote what people said."""
    steps = traceback.extract_tb(fault.__traceback__)[-5:]
    where = [f"{step.filename}:{step.lineno} {step.name}" for step in steps]
    facts = {"tool": call.name, "call_id": call.call_id, "error": type(fault).__name__, "where": where}
    _log.error("tool crashed", extra=facts)
