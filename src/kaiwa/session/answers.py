"""The responses under way: one of the conversation, and others beside it. Drops what comes too late.

Every event of an engine about a response passes here; an id that is not under way is stale.
"""

from __future__ import annotations

from collections.abc import Iterator

from kaiwa.events import engine, server
from kaiwa.events.response import (
    Cancelled,
    FailedStatus,
    FailureDetail,
    Incomplete,
    ResponseStatus,
    StatusDetails,
)
from kaiwa.events.tools import ToolCall
from kaiwa.events.usage import InputTokens, Usage
from kaiwa.session import errors
from kaiwa.session.conversation import Conversation, Entry
from kaiwa.session.floor import Floor
from kaiwa.session.mcp_calls import AwaitedCall, RemoteCalls
from kaiwa.session.outbox import Outbox
from kaiwa.session.paced import PacedOutput
from kaiwa.session.plan import Plan
from kaiwa.session.policy import HostPolicy
from kaiwa.session.responses import LiveResponse
from kaiwa.session.usage import completed_usage, input_tokens

_CUT_OFF = FailureDetail(type="server_error", code="server_error", message="A tool call was cut off.")
_LOST = FailureDetail(type="server_error", code="server_error", message="The response failed.")


class Answers:
    def __init__(
        self,
        policy: HostPolicy,
        outbox: Outbox,
        conversation: Conversation,
        floor: Floor,
        paced: PacedOutput,
        remote: RemoteCalls,
    ) -> None:
        self._policy = policy
        self._outbox = outbox
        self._conversation = conversation
        self._floor = floor
        self._paced = paced
        self._remote = remote
        self._beside: dict[str, LiveResponse] = {}
        self._read_before = InputTokens()
        self.active: LiveResponse | None = None
        self.voiced = False
        self.usages: list[Usage] = []

    def check(self, plan: Plan) -> None:
        """Raise PeerError when there is no room for another response."""
        if plan.in_conversation and self.active is not None:
            raise errors.already_responding(self.active.id)
        if not plan.in_conversation and len(self._beside) >= self._policy.max_out_of_band:
            raise errors.too_many_responses(self._policy.max_out_of_band)

    def start(self, plan: Plan) -> None:
        self.check(plan)
        history = self._conversation.context() if plan.history is None else plan.history
        # Given words are said as they are: nobody reads for them.
        given = plan.words is not None
        read = InputTokens() if given else input_tokens(plan.instructions, plan.tools, history)
        response = LiveResponse(plan, self._outbox, self._conversation, read)
        if plan.in_conversation:
            self.active = response
        else:
            self._beside[response.id] = response
        self._outbox.ask(plan.generate(response.id, history))

    def make_approved(self, plan: Plan) -> None:
        """Make the calls the client approved: a response that holds nothing else, and no engine writes."""
        self.check(plan)
        self.active = response = LiveResponse(plan, self._outbox, self._conversation, InputTokens())
        for awaited in self._remote.take_approved():
            response.add_approved(awaited)
        self._end(response, "completed", None, Usage())

    def foreseen(self, plan: Plan, coming: Entry) -> engine.Generate:
        """Return the command that would follow if the coming item were committed now."""
        return plan.generate("", [*self._conversation.context(), coming])

    def find(self, response_id: str) -> LiveResponse | None:
        if self.active is not None and self.active.id == response_id:
            return self.active
        return self._beside.get(response_id)

    def say(self, event: engine.TextDelta) -> None:
        if response := self.find(event.response_id):
            response.add_text(event.text)

    def sound(self, event: engine.AudioDelta, now: float) -> None:
        if response := self.find(event.response_id):
            self._sounded(response, response.add_audio(event.pcm), now)

    def argue(self, event: engine.ArgumentsDelta) -> None:
        if response := self.find(event.response_id):
            response.add_arguments(event.index, event.name, event.delta)

    def call(self, event: engine.ToolCalled) -> ToolCall | None:
        """Show a completed call; return it when it is ours to carry out."""
        response = self.find(event.response_id)
        if response is None:
            return None
        call = response.add_call(event.index, event.name, event.arguments, event.call_id)
        if isinstance(call, AwaitedCall):
            self._remote.ask(call)
            return None
        return call if call and response.plan.served_by_us(event.name) else None

    def finish(self, event: engine.GenerationEnded, now: float) -> bool:
        """End a response as the engine says; True when it was the conversation's."""
        response = self.find(event.response_id)
        if response is None:
            return False
        status, details = _outcome(event)
        if status == "completed" and not response.whole:
            status, details = "failed", FailedStatus(error=_CUT_OFF)
        self._sounded(response, response.flush_audio(), now)
        return self._end(response, status, details, event.usage)

    def cancel(self, response: LiveResponse, *, by_speech: bool) -> None:
        self._outbox.ask(engine.Stop(response_id=response.id))
        reason = "turn_detected" if by_speech else "client_cancelled"
        self._end(response, "cancelled", Cancelled(reason=reason), None)

    def stop_speaking(self) -> bool:
        """Cancel the answer that is spoken now; return whether there was one."""
        speaking = self.active if self.active is not None and self.active.plan.spoken else None
        if speaking is not None:
            self.cancel(speaking, by_speech=False)
        return speaking is not None

    def fail_all(self, error: FailureDetail) -> None:
        for response in list(self._all()):
            self._outbox.ask(engine.Stop(response_id=response.id))
            self._end(response, "failed", FailedStatus(error=error), None)

    def stop_all(self) -> None:
        for response in self._all():
            self._outbox.ask(engine.Stop(response_id=response.id))
        self.active = None
        self._beside.clear()

    def _all(self) -> Iterator[LiveResponse]:
        if self.active is not None:
            yield self.active
        yield from self._beside.values()

    def _sounded(self, response: LiveResponse, audio_ms: float, now: float) -> None:
        if not audio_ms or response.message_id is None:
            return
        self.voiced = True
        if response is self.active:
            self._floor.generating = True
            self._floor.sent(response.message_id, audio_ms, now)
            self._paced.sent(response.id)

    def _end(
        self,
        response: LiveResponse,
        status: ResponseStatus,
        details: StatusDetails | None,
        usage: Usage | None,
    ) -> bool:
        was_active = response is self.active
        before = self._read_before if was_active else InputTokens()
        counted = usage or completed_usage(
            response.read, before, "".join(response.written), response.audio_ms
        )
        if was_active:
            self.active = None
            self._floor.generating = False
            if response.plan.words is None:
                self._read_before = response.read
        else:
            self._beside.pop(response.id, None)
        response.end(status, details, counted)
        self.usages.append(counted)
        if self._policy.rate_limits is not None:
            self._outbox.send(server.RateLimitsUpdated, rate_limits=self._policy.rate_limits)
        self._remote.begin(response.remote_calls)
        return was_active


def _outcome(event: engine.GenerationEnded) -> tuple[ResponseStatus, StatusDetails | None]:
    match event.reason:
        case "completed":
            return "completed", None
        case "failed":
            return "failed", FailedStatus(error=event.error or _LOST)
        case reason:
            return "incomplete", Incomplete(reason=reason)
