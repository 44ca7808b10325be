"""Runs an agent's tools for a conversation, one call at a time or many. This is the edge of a tool.

Knows which calls may run and reports how they come out, once each; not how functions are run, nor who else
waits for one. Arguments, results and exception texts stay out of the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled, ToolSpec
from kaiwa.tools.agent import Agent
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.outcome import Outcome, held_back, refused
from kaiwa.tools.results import MAX_OUTPUT_BYTES
from kaiwa.tools.signature import ArgumentsError
from kaiwa.tools.work import Workplace

_log = logging.getLogger(__name__)


class AgentToolBox:
    """The tools of one agent; fits `kaiwa.interfaces.ToolBox`. One value may serve many conversations.

    `jobs` are those of the process, shared by its toolboxes; without them the toolbox has its own.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        language: str | None = None,
        pool: Executor | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
        jobs: Jobs | None = None,
    ) -> None:
        self._tools = {entry.name: entry for entry in agent.tools}
        self._specs = agent.specs
        self._late = agent.on_late_result
        self._language = language or agent.language
        self._jobs = jobs or Jobs()
        self._place = Workplace(pool, self._jobs.processes, max_output_bytes)

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self._specs

    async def run(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> None:
        """Carry out the call; report any progress and exactly one ToolSettled. Raises nothing.

        Cancelling the task reports nothing more. With `interfaces.STOPPED` it stops the call; otherwise the
        conversation is over, and a changing or background call goes on and is recorded. A change that has
        begun is never stopped. A synchronous function cannot be: it sees `ToolContext.cancelled`.
        """
        started = time.monotonic()
        outcome = await self._outcome(call, report)
        report(ToolSettled(call_id=call.call_id, output=outcome.output, failed=outcome.failed))
        facts = {"tool": call.name[:64], "call_id": call.call_id, "outcome": outcome.kind}
        _log.info("tool call settled", extra={**facts, "elapsed_ms": (time.monotonic() - started) * 1000})

    async def _outcome(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> Outcome:
        entry = self._tools.get(call.name)
        if entry is None:
            known = f"there are: {', '.join(self._tools)}" if self._tools else "there are none"
            return refused(f"There is no tool '{call.name[:64]}'; {known}.", "unknown")
        try:
            arguments = entry.signature.read(call.arguments)
        except ArgumentsError as wrong:
            return refused(str(wrong), "arguments")
        if (held := held_back(entry, call)) is not None:
            return held
        return await self._jobs.outcome(
            entry, call, arguments, report, self._place.work, language=self._language, late=self._late
        )
