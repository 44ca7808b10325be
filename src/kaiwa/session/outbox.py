"""What the session wants done, in order. Gives every event its id; after `close` nothing is said any more."""

from __future__ import annotations

from collections.abc import Callable

from kaiwa.errors import PeerError
from kaiwa.events.actions import Action, Ask, Hang, RunTool, Send, StopTool
from kaiwa.events.engine import EngineCommand
from kaiwa.events.server import ErrorDetail, Failed, ServerEvent
from kaiwa.events.tools import ToolCall

Ids = Callable[[str], str]


class Outbox:
    """Collects actions until they are drained."""

    def __init__(self, ids: Ids) -> None:
        self.new_id = ids
        self.closed = False
        self._actions: list[Action] = []

    def send(self, kind: Callable[..., ServerEvent], **fields: object) -> None:
        if not self.closed:
            self._actions.append(Send(event=kind(event_id=self.new_id("event"), **fields)))

    def show(self, event: ServerEvent) -> None:
        """Send an event as it is."""
        if not self.closed:
            self._actions.append(Send(event=event))

    def fail(self, error: PeerError) -> None:
        self.send(
            Failed,
            error=ErrorDetail(
                type=error.type,
                code=error.code,
                message=error.message,
                param=error.param,
                event_id=error.event_id,
            ),
        )

    def ask(self, command: EngineCommand) -> None:
        if not self.closed:
            self._actions.append(Ask(command=command))

    def run_tool(self, call: ToolCall) -> None:
        if not self.closed:
            self._actions.append(RunTool(call=call))

    def stop_tool(self, call_id: str) -> None:
        if not self.closed:
            self._actions.append(StopTool(call_id=call_id))

    def act(self, action: Action) -> None:
        if not self.closed:
            self._actions.append(action)

    def hang(self, code: int, reason: str) -> None:
        if not self.closed:
            self._actions.append(Hang(code=code, reason=reason))
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def drain(self) -> list[Action]:
        actions = self._actions
        self._actions = []
        return actions
