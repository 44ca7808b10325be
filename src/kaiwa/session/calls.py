"""The ledger of calls that kaiwa carries out itself: who runs, who settled, who is owed an answer."""

from __future__ import annotations

from dataclasses import dataclass

from kaiwa.events.tools import ToolCall, ToolProgress


@dataclass(slots=True)
class _Group:
    """The calls of one response, answered together."""

    running: set[str]
    settled_at: float | None = None


class CallLedger:
    def __init__(self, join_s: float) -> None:
        self._join_s = join_s
        self._calls: dict[str, ToolCall] = {}
        self._groups: dict[str, _Group] = {}
        self._owed: set[str] = set()
        self.progress: dict[str, ToolProgress] = {}

    def open(self, call: ToolCall) -> None:
        self._calls[call.call_id] = call
        self._groups.setdefault(call.response_id, _Group(set())).running.add(call.call_id)

    def running(self, call_id: str) -> bool:
        return call_id in self._calls

    @property
    def any_running(self) -> bool:
        return bool(self._calls)

    def report(self, progress: ToolProgress) -> None:
        if progress.call_id in self._calls:
            self.progress[progress.call_id] = progress

    def settle(self, call_id: str, now: float) -> None:
        """The call has its one output; an answer is owed."""
        call = self._close(call_id)
        group = self._groups[call.response_id]
        if group.settled_at is None:
            group.settled_at = now
        self._owed.add(call.response_id)

    def forget(self, call_id: str) -> None:
        """The call left the conversation; nobody waits for it."""
        call = self._close(call_id)
        if not self._groups[call.response_id].running and call.response_id not in self._owed:
            del self._groups[call.response_id]

    def stop_all(self) -> list[str]:
        calls = list(self._calls)
        self._calls.clear()
        self._groups.clear()
        self._owed.clear()
        return calls

    @property
    def owed(self) -> bool:
        return bool(self._owed)

    def paid(self) -> None:
        """A response is under way that has read every output so far."""
        for response_id in self._owed:
            group = self._groups[response_id]
            group.settled_at = None
            if not group.running:
                del self._groups[response_id]
        self._owed.clear()

    def due_at(self) -> float | None:
        """Return when the answer may be given: at once (0) when all calls of a response settled."""
        moments = [self._due(self._groups[response_id]) for response_id in self._owed]
        return min(moments) if moments else None

    def _due(self, group: _Group) -> float:
        settled_at = group.settled_at or 0.0
        return settled_at + self._join_s if group.running else 0.0

    def _close(self, call_id: str) -> ToolCall:
        call = self._calls.pop(call_id)
        self.progress.pop(call_id, None)
        self._groups[call.response_id].running.discard(call_id)
        return call
