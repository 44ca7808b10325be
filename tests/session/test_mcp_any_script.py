"""Any script of listings, calls, approvals and interruptions keeps the order of the protocol."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.session.harness import Talk, configured, said

from kaiwa.events import actions, client, engine, server
from kaiwa.events.config import McpTool, SessionUpdate
from kaiwa.events.items import FunctionCall, ListedTool, McpApprovalRequest, McpApprovalResponse
from kaiwa.events.tools import ToolSettled, ToolsListed

LABELS = ("one", "two")
TOOLS = (ListedTool(name="read"), ListedTool(name="write"))
RULES = ("always", "never", None)
STEPS = st.one_of(
    st.tuples(st.just("update"), st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(RULES)), max_size=2, unique_by=lambda one: one[0]), st.booleans()),
    st.tuples(st.just("list"), st.integers(0, 5), st.integers(0, 2)),
    st.tuples(st.just("ask")),
    st.tuples(st.just("piece"), st.integers(0, 3), st.integers(0, 2)),
    st.tuples(st.just("call"), st.integers(0, 3), st.integers(0, 2)),
    st.tuples(st.just("say")),
    st.tuples(st.just("end"), st.sampled_from(["completed", "failed", "max_output_tokens"])),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("settle"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("answer"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.4])),
)  # fmt: skip


class Script:
    def __init__(self) -> None:
        self.talk = Talk(configured(modalities=("text",)), servers=("own",))
        self.generating: str | None = None
        self.begun: dict[int, str] = {}
        self.update((("one", "never"), ("two", "always")))
        self.ask()

    def play(self, step) -> None:
        getattr(self, step[0])(*step[1:])

    def update(self, entries, at_once: bool = True) -> None:
        tools = tuple(McpTool(server_label=label, require_approval=rule) for label, rule in entries)
        before = len(self.actions(actions.ListTools))
        self.talk.do(client.SettingsChanged(session=SessionUpdate(type="realtime", tools=tools)))
        for which in range(before, len(self.actions(actions.ListTools)) if at_once else before):
            self.list(which, 2)

    def list(self, which: int, how_many: int) -> None:
        asked = self.actions(actions.ListTools)
        listing_id = asked[which % len(asked)].listing.listing_id
        error = None if how_many else "away"
        self.talk.do(ToolsListed(listing_id=listing_id, tools=TOOLS[:how_many], error=error))

    def ask(self) -> None:
        self.talk.do(said("go on"), client.ResponseRequested())
        self._notice()

    def name(self, index: int, which: int) -> str | None:
        tools = self.talk.of(engine.Generate)[-1].tools
        return self.begun.setdefault(index, tools[which % len(tools)].name) if tools else None

    def piece(self, index: int, which: int) -> None:
        if self.generating and (name := self.name(index, which)):
            self.talk.do(
                engine.ArgumentsDelta(response_id=self.generating, index=index, name=name, delta='{"a":')
            )

    def call(self, index: int, which: int) -> None:
        if self.generating and (name := self.name(index, which)):
            self.talk.do(
                engine.ToolCalled(response_id=self.generating, index=index, name=name, arguments='{"a":1}')
            )

    def say(self) -> None:
        if self.generating:
            self.talk.do(engine.TextDelta(response_id=self.generating, text="はい"))

    def end(self, reason: str) -> None:
        if self.generating:
            self.talk.do(engine.GenerationEnded(response_id=self.generating, reason=reason))
            self.generating, self.begun = None, {}
            self._notice()

    def cancel(self) -> None:
        self.talk.do(client.ResponseCancelled())
        self.generating, self.begun = None, {}
        self._notice()

    def settle(self, which: int, failed: bool) -> None:
        if runs := self.actions(actions.RunTool):
            self.talk.do(ToolSettled(call_id=runs[which % len(runs)].call.call_id, output="1", failed=failed))
            self._notice()

    def answer(self, which: int, approve: bool) -> None:
        requests = [
            event.item.id
            for event in self.talk.of(server.ItemDone)
            if isinstance(event.item, McpApprovalRequest)
        ]
        if requests:
            item = McpApprovalResponse(approval_request_id=requests[which % len(requests)], approve=approve)
            self.talk.do(client.ItemCreated(item=item))

    def delete(self, which: int) -> None:
        items = [event.item.id for event in self.talk.of(server.ItemDone)]
        if items:
            self.talk.do(client.ItemDeleteRequested(item_id=items[which % len(items)]))

    def wait(self, seconds: float) -> None:
        self.talk.wait(seconds)
        self._notice()

    def actions(self, kind: type) -> list:
        return [action for action in self.talk.all if isinstance(action, kind)]

    def _notice(self) -> None:
        """Follow the response that the engine was asked for last, while it goes on."""
        ended = {event.response.id for event in self.talk.of(server.ResponseDone)}
        for command in self.talk.of(engine.Generate)[-1:]:
            if command.response_id not in {*ended, self.generating}:
                self.generating, self.begun = command.response_id, {}

    def finish(self) -> None:
        for _ in range(6):
            self.end("completed")
            for which in range(len(self.actions(actions.RunTool))):
                self.settle(which, False)
            for which in range(len(self.actions(actions.ListTools))):
                self.list(which, 1)
            self.wait(1)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=40))
def test_any_script_keeps_the_order_of_the_protocol(steps):
    script = Script()
    for step in steps:
        script.play(step)
    script.finish()
    script.talk.check()
    settled = [
        event.item_id
        for event in script.talk.of(server.McpCallCompleted) + script.talk.of(server.McpCallFailed)
    ]
    assert len(settled) == len(set(settled))
    for command in script.talk.of(engine.Generate):
        calls = [item.call_id for item in command.history if isinstance(item, FunctionCall)]
        assert len(calls) == len(set(calls))
