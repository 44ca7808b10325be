"""Calls that kaiwa carries out in a conversation the service decides: from the call to the answer.

An output is put into the conversation at once. The answer is asked for when all calls of a response have
theirs and the service is free; a response that began after the service had taken an output tells it anyway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from kaiwa.events.own import ToolProgressed
from kaiwa.events.relay import Forward, PassedFrame
from kaiwa.events.tools import ToolCall, ToolProgress, ToolSettled, ToolSpec
from kaiwa.session.calls import CallLedger
from kaiwa.session.consent import Consent
from kaiwa.session.outbox import Outbox
from kaiwa.session.policy import REFUSALS

_KEPT_ITEMS: Final = 64
ACTIVE = "conversation_already_has_active_response"


class ServerCalls:
    """`turn_answer_s`: how long the service may take to answer a turn before kaiwa asks for the answer."""

    def __init__(
        self, out: Outbox, specs: Sequence[ToolSpec] = (), *, join_s: float, turn_answer_s: float
    ) -> None:
        self._out = out
        self._conversation_id = out.new_id("conv")
        self._consent = Consent(specs, REFUSALS)
        self._user_items: deque[str] = deque(maxlen=_KEPT_ITEMS)
        self._turn_answer_s = turn_answer_s
        self._ledger = CallLedger(join_s)
        self._outputs: dict[str, str] = {}  # item of the output -> call
        self._sent: dict[str, str] = {}  # client event -> item of the output
        self._asked: str | None = None
        self._active: str | None = None
        self._speaking = False
        self._turn_begun = False
        self._expected_until = 0.0

    # --- calls ---------------------------------------------------------------------------------

    def begin(self, item: Mapping[str, Any], response_id: str) -> None:
        call_id = str(item.get("call_id"))
        if self._ledger.running(call_id):
            return
        call = ToolCall(
            call_id=call_id,
            name=str(item.get("name")),
            arguments=str(item.get("arguments")),
            response_id=response_id,
        )
        call = self._consent.marked(call, self._conversation_id, confirmed=False)
        self._ledger.open(call)
        self._out.run_tool(call)

    def settle(self, event: ToolSettled) -> str | None:
        """Send the output; return the id of its item. None: nobody waits for it."""
        if not self._ledger.running(event.call_id):
            return None
        item_id, event_id = self._out.new_id("item"), self._out.new_id("event")
        self._outputs[item_id], self._sent[event_id] = event.call_id, item_id
        item = {
            "id": item_id,
            "type": "function_call_output",
            "call_id": event.call_id,
            "output": event.output,
        }
        self._say("conversation.item.create", event_id, item=item)
        return item_id

    def report(self, event: ToolProgress) -> None:
        """Tell the peer how far a call is."""
        if self._ledger.report(event):
            self._out.send(ToolProgressed, call_id=event.call_id, fraction=event.fraction, text=event.text)

    def taken(self, item_id: object, now: float) -> None:
        """The service has put this item into the conversation."""
        call_id = self._outputs.pop(item_id, None) if isinstance(item_id, str) else None
        if call_id is not None:
            self._forget_sent(item_id)
            self._ledger.settle(call_id, now)
            self._consent.settled(call_id)

    def refused(self, event_id: str, code: str | None) -> bool:
        """True when the error was about a frame of ours; the peer has nothing to do with it."""
        if event_id == self._asked:
            self._asked = None
            if code != ACTIVE:
                self._ledger.paid()
            return True
        item_id = self._sent.pop(event_id, None)
        if item_id is None:
            return False
        if (call_id := self._outputs.pop(item_id, None)) is not None:
            self._ledger.forget(call_id)
        return True

    def _forget_sent(self, item_id: object) -> None:
        for event_id in [key for key, value in self._sent.items() if value == item_id]:
            del self._sent[event_id]

    # --- what the service does -----------------------------------------------------------------

    def response_began(self, response_id: str) -> None:
        """A response of the conversation began: it has read every output the service had taken."""
        self._active, self._asked, self._expected_until = response_id, None, 0.0
        self._ledger.paid()
        self._consent.began(response_id)

    def response_ended(self, response: Mapping[str, Any]) -> None:
        response_id = str(response.get("id"))
        if response_id == self._active:
            self._active = None
        output: Any = response.get("output")
        said = isinstance(output, list) and any(
            isinstance(item, dict) and cast("dict[str, Any]", item).get("type") == "message"
            for item in cast("list[object]", output)
        )
        if said and response.get("status") == "completed":
            self._consent.spoke(response_id)

    def response_expected(self, now: float) -> None:
        self._expected_until = now + self._turn_answer_s

    def speech(self, started: bool, now: float) -> None:
        self._speaking = started
        if started:
            self._turn_begun = True
            self._consent.turn_began(heard=self._active is None)
        if not started:
            self.response_expected(now)

    def user_said(self, item_id: str) -> None:
        """An item of the user's is part of the conversation now."""
        if item_id in self._user_items:
            return
        self._user_items.append(item_id)
        if not self._turn_begun:  # typed, or committed by a client that decides turns itself
            self._consent.turn_began(heard=self._active is None)
        self._turn_begun = False
        self._consent.turn_ended(item_id)

    def worded(self, item_id: str, words: str) -> None:
        self._consent.worded(item_id, words)

    # --- the answer that is owed ---------------------------------------------------------------

    def due_at(self) -> float | None:
        if not self._ledger.owed or self._asked or self._active or self._speaking:
            return None
        return max(self._ledger.due_at() or 0.0, self._expected_until)

    def pay(self, now: float) -> None:
        """Ask for the answer if it is due."""
        due = self.due_at()
        if due is not None and due <= now:
            self._asked = self._out.new_id("event")
            self._say("response.create", self._asked)

    def _say(self, kind: str, event_id: str, **fields: Any) -> None:
        body = {"type": kind, "event_id": event_id, **fields}
        self._out.ask(Forward(frame=PassedFrame(type=kind, event_id=event_id, body=body)))
