"""Calls that kaiwa carries out in a conversation the service decides: from the call to the answer.

An output is put into the conversation at once. The answer is asked for when all calls of a response have
theirs and the service is free; a response that began after the service had taken an output tells it anyway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final, cast

from kaiwa.events.own import ToolProgressed
from kaiwa.events.relay import Forward, PassedFrame
from kaiwa.events.tools import STOP_TOOL_CALL, ToolCall, ToolProgress, ToolSaid, ToolSettled, ToolSpec
from kaiwa.session import stopping
from kaiwa.session.calls import CallLedger
from kaiwa.session.consent import Consent
from kaiwa.session.outbox import Outbox
from kaiwa.session.policy import REFUSALS
from kaiwa.session.remarks import Remark, Remarks, is_remark

_KEPT_ITEMS: Final = 64
ACTIVE = "conversation_already_has_active_response"
_FILLER: Final = "Say only these words, or the same in the language of the conversation, and nothing else: "
_INTERIM: Final = (
    "A tool is still running and has something to tell already. Tell the caller this and nothing else, "
    "briefly, in the language of the conversation: "
)


class ServerCalls:
    """`turn_answer_s`: how long the service may take to answer a turn before kaiwa asks for the answer.

    `remarks`: when and how a silence is bridged; None: never.
    """

    def __init__(
        self,
        out: Outbox,
        specs: Sequence[ToolSpec] = (),
        *,
        join_s: float,
        turn_answer_s: float,
        remarks: Remarks | None = None,
    ) -> None:
        self.away = False
        """The peer is not there to hear an answer."""
        self._out = out
        self._conversation_id = out.new_id("conv")
        self._consent = Consent(specs, REFUSALS)
        self._user_items: deque[str] = deque(maxlen=_KEPT_ITEMS)
        self._turn_answer_s = turn_answer_s
        self._ledger = CallLedger(join_s)
        self._outputs: dict[str, str] = {}  # item of the output -> call
        self._sent: dict[str, str] = {}  # client event -> item of the output
        self._remarks = remarks or Remarks(None, "")
        self._remark_asked: str | None = None
        self._stoppable = {spec.name for spec in specs if spec.changes is not True}
        self._by_speech = {spec.name for spec in specs if spec.cancel_on_interruption}
        self._stops = stopping.standing_tool(specs) is not None
        self._asked: str | None = None
        self._active: str | None = None
        self._speaking = False
        self._turn_begun = False
        self._expected_until = 0.0

    # --- calls ---------------------------------------------------------------------------------

    def begin(self, item: Mapping[str, Any], response_id: str) -> list[str]:
        """Carry out the call; return the items of outputs that it gives at once."""
        call_id = str(item.get("call_id"))
        if self._ledger.running(call_id):
            return []
        call = ToolCall(
            call_id=call_id,
            name=str(item.get("name")),
            arguments=str(item.get("arguments")),
            response_id=response_id,
        )
        if self._stops and call.name == STOP_TOOL_CALL:
            return self._stop_for_caller(call)
        call = self._consent.marked(call, self._conversation_id, confirmed=False)
        self._ledger.open(call)
        self._out.run_tool(call)
        return []

    def settle(self, event: ToolSettled) -> str | None:
        """Send the output; return the id of its item. None: nobody waits for it."""
        if not self._ledger.running(event.call_id):
            return None
        self._remarks.drop(event.call_id)
        return self._put(event.call_id, event.output)

    def _put(self, call_id: str, output: str) -> str:
        item_id, event_id = self._out.new_id("item"), self._out.new_id("event")
        self._outputs[item_id], self._sent[event_id] = call_id, item_id
        item = {"id": item_id, "type": "function_call_output", "call_id": call_id, "output": output}
        self._say("conversation.item.create", event_id, item=item)
        return item_id

    def report(self, event: ToolProgress) -> None:
        """Tell the peer how far a call is."""
        if self._ledger.report(event):
            self._out.send(ToolProgressed, call_id=event.call_id, fraction=event.fraction, text=event.text)

    def remark(self, text: str, about: str) -> None:
        """Have something said that is about no call."""
        self._remarks.say(text, about)

    def say(self, event: ToolSaid) -> None:
        """A tool has an interim answer."""
        if self._ledger.running(event.call_id):
            self._remarks.add(event.call_id, event.text)

    def interrupt(self) -> list[str]:
        """The caller speaks: stop the calls that are declared so; return the items of their outputs."""
        return self._stop(self._by_speech, stopping.STOPPED_BY_SPEECH)

    def _stop_for_caller(self, call: ToolCall) -> list[str]:
        name = stopping.wanted(call)
        names = self._stoppable & {name} if name is not None else set[str]()
        items = self._stop(names, stopping.STOPPED_BY_CALLER)
        self._ledger.open(call)
        return [*items, self._put(call.call_id, stopping.told(name, items))]

    def _stop(self, names: Container[str], output: str) -> list[str]:
        """Stop the running calls of these tools. Their outputs are owed to nobody: who stopped them knows."""
        items: list[str] = []
        for call in self._ledger.running_of(names):
            if call.call_id in self._outputs.values():
                continue  # its result is on its way
            self._ledger.forget(call.call_id)
            self._remarks.drop(call.call_id)
            self._out.stop_tool(call.call_id)
            items.append(self._put(call.call_id, output))
        return items

    def taken(self, item_id: object, now: float) -> None:
        """The service has put this item into the conversation."""
        call_id = self._outputs.pop(item_id, None) if isinstance(item_id, str) else None
        if call_id is not None:
            self._forget_sent(item_id)
            if self._ledger.running(call_id):  # else it was stopped
                self._ledger.settle(call_id, now)
            self._consent.settled(call_id)
            if not self._ledger.any_running:
                self._remarks.broken()

    def refused(self, event_id: str, code: str | None) -> bool:
        """True when the error was about a frame of ours; the peer has nothing to do with it."""
        if event_id == self._remark_asked:
            self._remark_asked = None
            return True
        if event_id == self._asked:
            self._asked = None
            if code != ACTIVE:
                self._ledger.paid()
            return True
        item_id = self._sent.pop(event_id, None)
        if item_id is None:
            return False
        call_id = self._outputs.pop(item_id, None)
        if call_id is not None and self._ledger.running(call_id):
            self._ledger.forget(call_id)
        return True

    def _forget_sent(self, item_id: object) -> None:
        for event_id in [key for key, value in self._sent.items() if value == item_id]:
            del self._sent[event_id]

    # --- what the service does -----------------------------------------------------------------

    def response_began(self, response_id: str, metadata: object = None) -> None:
        """A response of the conversation began: it has read every output the service had taken."""
        self._active = response_id
        self._remarks.broken()
        if self._remark_asked is not None and is_remark(metadata):
            self._remark_asked = None
            return
        self._asked, self._expected_until = None, 0.0
        self._ledger.paid()
        self._consent.began(response_id)

    def response_ended(self, response: Mapping[str, Any], now: float) -> None:
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
        if not said and self._ledger.any_running:
            self._remarks.silent_from(now)

    def response_expected(self, now: float) -> None:
        self._expected_until = now + self._turn_answer_s

    def speech(self, started: bool, now: float) -> None:
        self._speaking = started
        if started:
            self._remarks.broken()
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
        if self.away or self._asked or self._remark_asked or self._active or self._speaking:
            return None
        moments = (self._ledger.due_at() if self._ledger.owed else None, self._remarks.due_at())
        due = min((moment for moment in moments if moment is not None), default=None)
        return None if due is None else max(due, self._expected_until)

    def pay(self, now: float) -> None:
        """Ask for the answer if it is due, or for what bridges the silence until then."""
        due = self.due_at()
        if due is None or due > now:
            return
        if self._ledger.owed and (self._ledger.due_at() or 0.0) <= now:
            self._asked = self._out.new_id("event")
            self._say("response.create", self._asked)
        elif (remark := self._remarks.take(now)) is not None:
            self._remark_asked = self._out.new_id("event")
            self._say("response.create", self._remark_asked, response=_said(remark))

    def _say(self, kind: str, event_id: str, **fields: Any) -> None:
        body = {"type": kind, "event_id": event_id, **fields}
        self._out.ask(Forward(frame=PassedFrame(type=kind, event_id=event_id, body=body)))


def _said(remark: Remark) -> dict[str, Any]:
    """Return a response that says the remark and calls nothing. It reads no item: only the words count."""
    asked = (_FILLER if remark.passing else _INTERIM) + remark.text
    wishes: dict[str, Any] = {"instructions": asked, "input": [], "tools": [], "tool_choice": "none"}
    return {**wishes, "metadata": remark.metadata}
