"""The calls that kaiwa carries out: begun with what is known of their turn, stopped, settled, told of.

Joins the ledger, the caller's consent and what is said on the way. Does not know who has the floor.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kaiwa.events import tools
from kaiwa.events.items import FunctionCallOutput
from kaiwa.events.own import ToolProgressed
from kaiwa.events.tools import STOP_TOOL_CALL, ToolCall, ToolProgress, ToolSpec
from kaiwa.session import stopping
from kaiwa.session.calls import CallLedger
from kaiwa.session.consent import Consent
from kaiwa.session.conversation import Conversation, Entry
from kaiwa.session.items import Items
from kaiwa.session.outbox import Outbox
from kaiwa.session.policy import HostPolicy
from kaiwa.session.remarks import Remarks


class OwnCalls:
    def __init__(
        self,
        specs: Sequence[ToolSpec],
        policy: HostPolicy,
        outbox: Outbox,
        conversation: Conversation,
        ledger: CallLedger,
        items: Items,
    ) -> None:
        self._specs = tuple(msgspec.structs.replace(spec, server=True) for spec in specs)
        self._outbox = outbox
        self._conversation = conversation
        self._ledger = ledger
        self._items = items
        self._stoppable = {spec.name for spec in specs if spec.changes is not True}
        self._outlasting = {spec.name for spec in specs if spec.background or spec.changes is True}
        self._by_speech = {spec.name for spec in specs if spec.cancel_on_interruption}
        self.consent = Consent(specs, policy.refusals)
        filler_s = None if policy.filler_ms is None else policy.filler_ms / 1000
        self.remarks = Remarks(filler_s, policy.filler)

    @property
    def offered(self) -> tuple[ToolSpec, ...]:
        """The agent's tools, and the one that stops what runs of them."""
        running = [call.name for call in self._ledger.running_of(self._stoppable)]
        return (*self._specs, stopping.stop_tool(running)) if running else self._specs

    @property
    def progress(self) -> tuple[ToolProgress, ...]:
        return tuple(self._ledger.progress.values())

    def begin(self, call: ToolCall, now: float, *, confirmed: bool) -> None:
        if call.name == STOP_TOOL_CALL and all(spec.name != STOP_TOOL_CALL for spec in self._specs):
            self._stop_for_caller(call, now)
            return
        call = self.consent.marked(call, self._conversation.id, confirmed=confirmed)
        self._ledger.open(call)
        self._outbox.run_tool(call)

    def settle(self, event: tools.ToolSettled, now: float) -> None:
        if not self._ledger.running(event.call_id):
            return
        self._ledger.settle(event.call_id, now)
        self._put(event.call_id, event.output)

    def report(self, event: ToolProgress) -> None:
        if self._ledger.report(event):
            self._outbox.send(ToolProgressed, call_id=event.call_id, fraction=event.fraction, text=event.text)

    def say(self, event: tools.ToolSaid) -> None:
        if self._ledger.running(event.call_id):
            self.remarks.add(event.call_id, event.text)

    def interrupt(self) -> None:
        """The caller spoke into the agent's words: stop the calls that are declared so."""
        for call in self._ledger.running_of(self._by_speech):
            self._stop(call, stopping.STOPPED_BY_SPEECH)

    def stop_all(self) -> list[str]:
        """Forget every call; return those that nobody needs now that the conversation is over."""
        outlasting = {call.call_id for call in self._ledger.running_of(self._outlasting)}
        self.remarks.broken()
        return [call_id for call_id in self._ledger.stop_all() if call_id not in outlasting]

    def _stop_for_caller(self, call: ToolCall, now: float) -> None:
        name = stopping.wanted(call)
        stopped = [one for one in self._ledger.running_of(self._stoppable) if one.name == name]
        for one in stopped:
            self._stop(one, stopping.STOPPED_BY_CALLER)
        self._ledger.open(call)
        self._ledger.settle(call.call_id, now)
        self._put(call.call_id, stopping.told(name, [one.call_id for one in stopped]))

    def _stop(self, call: ToolCall, output: str) -> None:
        self._ledger.forget(call.call_id)
        self._outbox.stop_tool(call.call_id)
        self._put(call.call_id, output)

    def _put(self, call_id: str, output: str) -> None:
        self.consent.settled(call_id)
        self.remarks.drop(call_id)
        if not self._ledger.any_running:
            self.remarks.broken()
        item_id = self._outbox.new_id("item")
        item = FunctionCallOutput(id=item_id, call_id=call_id, output=output)
        self._items.show(item_id, Entry(item=item))
