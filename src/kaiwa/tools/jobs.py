"""The jobs of this process: calls that run, share a run, go on after their conversation, or ran before.

A job is one run of a function; a call waits for one. Knows duplicates, limits, idempotency keys and late
results; neither how a function is run nor what a session makes of its outcome.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import uuid4
from weakref import WeakKeyDictionary

from kaiwa.events.tools import ToolCall, ToolEvent, ToolProgress, ToolSaid
from kaiwa.interfaces import STOPPED
from kaiwa.tools.context import ToolContext
from kaiwa.tools.outcome import AnyTool, LateResult, Outcome, running_already
from kaiwa.tools.places import Places
from kaiwa.tools.processes import Processes

Report = Callable[[ToolEvent], None]
Work = Callable[[AnyTool, ToolContext, dict[str, Any]], Awaitable[Outcome]]
Late = Callable[[LateResult], None]

KEPT_CHANGES: Final = 4096
KEPT_RESULTS: Final = 256
FINISH_S: Final = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What makes two calls the same."""

    conversation_id: str
    tool: str
    arguments: str


@dataclass(slots=True)
class _Change:
    """What became of a change: how often it was made, and in which turn last."""

    made: int = 0
    turn: int = -1
    outcome: Outcome | None = None


@dataclass(slots=True, eq=False)
class _Job:
    entry: AnyTool
    call: ToolCall
    context: ToolContext
    listeners: dict[str, Report] = field(default_factory=dict[str, Report])
    task: asyncio.Task[Outcome] | None = None


class Jobs:
    """One value for all conversations of a process. `finish` before the loop ends."""

    def __init__(self) -> None:
        self._own = uuid4().hex
        self._running: dict[Question, _Job] = {}
        self._unfinished: set[asyncio.Task[Outcome]] = set()
        self._changes: OrderedDict[Question, _Change] = OrderedDict()
        self._places: WeakKeyDictionary[AnyTool, Places] = WeakKeyDictionary()
        self.processes = Processes()
        self.late_results: deque[LateResult] = deque(maxlen=KEPT_RESULTS)

    async def outcome(
        self,
        entry: AnyTool,
        call: ToolCall,
        arguments: dict[str, Any],
        report: Report,
        work: Work,
        *,
        language: str | None = None,
        late: Late | None = None,
    ) -> Outcome:
        """Return what becomes of the call: of a run of its own, of its twin's, or of one that was."""
        question = Question(call.conversation_id or self._own, call.name, _canonical(call.arguments))
        made = self._changes.get(question) if entry.changes else None
        if made is not None and made.outcome is not None and made.turn == call.turn:
            return made.outcome  # asked for once, made once
        job = self._running.get(question)
        if job is not None and entry.rules.duplicates == "reject":
            return running_already(entry)
        if job is None or entry.rules.duplicates == "allow":
            job = self._begin(question, entry, call, arguments, work, language)
        return await self._wait(job, call, report, late)

    async def finish(self, within_s: float = FINISH_S) -> None:
        """Wait for the jobs that outlived their conversations, and stop those that take longer."""
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=within_s)
        for task in list(self._unfinished):
            task.cancel()
        await asyncio.gather(*self._unfinished, return_exceptions=True)
        await self.processes.close()

    # --- one job -------------------------------------------------------------------------------

    def _begin(
        self,
        question: Question,
        entry: AnyTool,
        call: ToolCall,
        arguments: dict[str, Any],
        work: Work,
        language: str | None,
    ) -> _Job:
        loop = asyncio.get_running_loop()
        listeners: dict[str, Report] = {}
        context = ToolContext(
            call.call_id,
            language,
            partial(_hand_over, loop, partial(_progress, listeners)),
            self._key(question),
            partial(_hand_over, loop, partial(_say, listeners)),
        )
        job = _Job(entry, call, context, listeners)
        job.task = task = loop.create_task(self._run(question, job, arguments, work))
        self._running[question] = job
        self._unfinished.add(task)
        task.add_done_callback(partial(self._forget, question, job))
        return job

    async def _run(self, question: Question, job: _Job, arguments: dict[str, Any], work: Work) -> Outcome:
        try:
            limit = job.entry.rules.max_running
            if limit is None:
                outcome = await work(job.entry, job.context, arguments)
            else:
                async with self._places.setdefault(job.entry, Places(limit)).taken():
                    outcome = await work(job.entry, job.context, arguments)
        finally:
            job.context.cancel()
        if job.entry.changes and not outcome.failed:
            self._note_change(question, job.call, outcome)
        return outcome

    def _note_change(self, question: Question, call: ToolCall, outcome: Outcome) -> None:
        change = self._changes.setdefault(question, _Change())
        self._changes.move_to_end(question)
        change.made, change.turn, change.outcome = change.made + 1, call.turn, outcome
        while len(self._changes) > KEPT_CHANGES:
            self._changes.popitem(last=False)

    def _key(self, question: Question) -> str:
        """Name the change: a new try has the same name until one has succeeded."""
        made = self._changes.get(question, _Change()).made
        whole = json.dumps([question.conversation_id, question.tool, question.arguments, made])
        return hashlib.sha256(whole.encode()).hexdigest()[:32]

    def _forget(self, question: Question, job: _Job, task: asyncio.Task[Outcome]) -> None:
        self._unfinished.discard(task)
        if self._running.get(question) is job:
            del self._running[question]

    # --- who waits for it ----------------------------------------------------------------------

    async def _wait(self, job: _Job, call: ToolCall, report: Report, late: Late | None) -> Outcome:
        assert job.task is not None, "a job has begun"
        job.listeners[call.call_id] = report
        try:
            return await asyncio.shield(job.task)
        except asyncio.CancelledError as gone:
            self._left(job, call, late, stopped=gone.args[:1] == (STOPPED,))
            raise
        finally:
            job.listeners.pop(call.call_id, None)

    def _left(self, job: _Job, call: ToolCall, late: Late | None, *, stopped: bool) -> None:
        """Decide what becomes of a job when the last call that waited for it goes."""
        assert job.task is not None, "a job has begun"
        job.listeners.pop(call.call_id, None)
        if job.listeners:
            return
        # A change that has begun is never cut off in the middle: nobody would know what it did.
        goes_on = job.entry.changes or (job.entry.rules.background and not stopped)
        if goes_on or job.task.done():
            job.task.add_done_callback(partial(self._record, call, late))
        else:
            job.context.cancel()
            job.task.cancel()

    def _record(self, call: ToolCall, late: Late | None, task: asyncio.Task[Outcome]) -> None:
        if task.cancelled() or task.exception() is not None:
            return
        outcome = task.result()
        result = LateResult(
            conversation_id=call.conversation_id,
            call_id=call.call_id,
            tool=call.name,
            arguments=call.arguments,
            output=outcome.output,
            failed=outcome.failed,
        )
        self.late_results.append(result)
        facts = {"tool": call.name, "call_id": call.call_id, "outcome": outcome.kind}
        _log.info("tool call settled after nobody waited for it", extra=facts)
        if late is not None:
            try:
                late(result)
            except Exception as fault:  # noqa: BLE001 - the edge of a tool: the hook is the agent's code
                _log.error("the late result was not taken", extra={**facts, "error": type(fault).__name__})


def _canonical(arguments: str) -> str:
    """Return the arguments as text in which order and spaces say nothing. They have been read before."""
    return json.dumps(json.loads(arguments) if arguments.strip() else {}, sort_keys=True, ensure_ascii=False)


def _progress(listeners: dict[str, Report], fraction: float, text: str) -> None:
    for call_id, report in list(listeners.items()):
        report(ToolProgress(call_id=call_id, fraction=fraction, text=text))


def _say(listeners: dict[str, Report], text: str) -> None:
    for call_id, report in list(listeners.items())[:1]:  # said once, however many calls share the run
        report(ToolSaid(call_id=call_id, text=text))


def _hand_over(loop: asyncio.AbstractEventLoop, deliver: Callable[..., None], *told: Any) -> None:
    """Deliver on the loop's thread, from whichever thread the tool speaks."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        deliver(*told)
    elif not loop.is_closed():
        try:
            loop.call_soon_threadsafe(deliver, *told)
        except RuntimeError:  # closed meanwhile: nobody listens any more
            return
