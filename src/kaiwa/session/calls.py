"""The ledger of calls that kaiwa carries out itself: who runs, who settled, who is owed an answer."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from kaiwa.events.tools import ToolCall, ToolProgress


@dataclass(slots=True)
class _Group:
    """The calls of one response, answered together. `retellings`: answers that failed before a word."""

    running: set[str]
    settled_at: float | None = None
    not_before: float = 0.0
    retellings: int = 0


class CallLedger:
    def __init__(self, join_s: float) -> None:
        self._join_s = join_s
        self._calls: dict[str, ToolCall] = {}
        self._groups: dict[str, _Group] = {}
        self._owed: set[str] = set()
        self._being_told: dict[str, _Group] = {}
        self.progress: dict[str, ToolProgress] = {}

    def open(self, call: ToolCall) -> None:
        self._calls[call.call_id] = call
        self._groups.setdefault(call.response_id, _Group(set())).running.add(call.call_id)

    def running(self, call_id: str) -> bool:
        return call_id in self._calls

    @property
    def any_running(self) -> bool:
        return bool(self._calls)

    def running_of(self, names: Container[str]) -> list[ToolCall]:
        """Return the running calls of these tools."""
        return [call for call in self._calls.values() if call.name in names]

    def report(self, progress: ToolProgress) -> bool:
        """Note how far a call is; False when it does not run."""
        if progress.call_id not in self._calls:
            return False
        self.progress[progress.call_id] = progress
        return True

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
        self._being_told = {}
        return calls

    @property
    def owed(self) -> bool:
        return bool(self._owed)

    def paid(self) -> None:
        """A response is under way that has read every output so far."""
        self._being_told = {response_id: self._groups[response_id] for response_id in self._owed}
        for response_id, group in self._being_told.items():
            group.settled_at = None
            if not group.running:
                del self._groups[response_id]
        self._owed.clear()

    def owe_again(self, at: float, most: int) -> None:
        """That response failed before it said a word: what it was to tell is owed again, for a while."""
        for response_id, group in self._being_told.items():
            if group.retellings < most:
                group.retellings += 1
                group.not_before = group.settled_at = at
                self._groups[response_id] = group
                self._owed.add(response_id)
        self._being_told = {}

    def due_at(self) -> float | None:
        """Return when the answer may be given: at once (0) when all calls of a response settled."""
        moments = [self._due(self._groups[response_id]) for response_id in self._owed]
        return min(moments) if moments else None

    def _due(self, group: _Group) -> float:
        settled_at = group.settled_at or 0.0
        return max(settled_at + self._join_s if group.running else 0.0, group.not_before)

    def _close(self, call_id: str) -> ToolCall:
        call = self._calls.pop(call_id)
        self.progress.pop(call_id, None)
        self._groups[call.response_id].running.discard(call_id)
        return call
