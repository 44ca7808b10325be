"""A session that knows what it costs: answers are charged as they run, and a budget's end is a polite one.

Stands before a host or a relay session, as its peer and its engine see it. Near the end of a budget the agent
says so, once and when the floor is free. When a budget is spent, the answer under way ends, nothing new
begins, the agent takes its leave, and the session is closed with the code that the field has for it. Counts
by `costs`; what things cost and when a budget is spent is not known here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kaiwa.events import client, relay
from kaiwa.events.actions import Action, Hang, Send
from kaiwa.events.budget import BudgetNear, BudgetSpent, Charge, CostChanged, RemarkWanted
from kaiwa.events.own import BudgetNearTold, BudgetSpentTold, CostTold
from kaiwa.events.relay import PassedFrame, UpstreamSaid
from kaiwa.events.server import ErrorDetail, Failed, ResponseCreated, ServerEvent
from kaiwa.events.value import Value
from kaiwa.interfaces import Session
from kaiwa.session.costs import Costs
from kaiwa.session.outbox import Ids
from kaiwa.session.relay.aliases import part_of
from kaiwa.session.remarks import marked

_NEAR, _SPENT = "budget_near", "budget_spent"
QUOTA: Final = "insufficient_quota"
SPENT_CLOSE: Final = 4029
_LEAVES_WITHIN_S: Final = 20.0
"""So long the last words may take, playing them included."""
_AFTER_SOUND_S: Final = 0.3
_SOUND: Final = ("input_audio_buffer.append", "input_audio_buffer.commit")


class Wording(Value, kw_only=True):
    """What the agent says when a budget is near and when it is spent; empty: nothing."""

    near: str = ""
    spent: str = ""


SILENT: Final = Wording()


class BudgetedSession:
    """Fits `kaiwa.interfaces.Session` over another one."""

    def __init__(self, inner: Session, wording: Wording, *, ids: Ids) -> None:
        self._inner = inner
        self._wording = wording
        self._ids = ids
        self._costs = Costs()
        self._actions: list[Action] = []
        self._relayed = False
        self._open: set[str] = set()
        self._warning = False
        self._spent: BudgetSpent | None = None
        self._last_words: str | None = None
        self._asked_ids: set[str] = set()
        self._hang_at: float | None = None
        self._over = False
        self._collect(0.0)

    # --- the contract of a session -------------------------------------------------------------

    def receive(self, event: Any, now: float) -> None:
        if type(event) is UpstreamSaid:
            self._relayed = True
            self._charge(self._costs.hear(event, now))
            if not self._is_answer_to_us(event):
                self._inner.receive(event, now)
        elif not self._takes(event, now):
            self._inner.receive(event, now)
        self._collect(now)

    def next_timer(self) -> float | None:
        moments = (self._inner.next_timer(), self._hang_at)
        return None if self._over else min((one for one in moments if one is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if self._hang_at is not None and now >= self._hang_at:
            self._hang(now)
            return
        self._inner.handle_timer(now)
        self._collect(now)

    def actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    # --- what is heard -------------------------------------------------------------------------

    def _takes(self, event: Any, now: float) -> bool:
        """Do what an event asks of this session; True: the other one is not to hear of it."""
        match event:
            case CostChanged():
                told = msgspec.structs.asdict(event)
                self._send(CostTold(event_id=self._ids("event"), **told))
            case BudgetNear():
                self._warn(event, now)
            case BudgetSpent():
                self._take_leave(event, now)
            case client.PeerGone() | relay.UpstreamClosed() | relay.UpstreamOpened():
                # What a service had begun, it will not tell the end of.
                self._charge(self._costs.abandon())
                return False
            case _:
                return self._spent is not None and self._comes_too_late(event)
        return True

    def _comes_too_late(self, event: Any) -> bool:
        """Take nothing more in that would be answered."""
        kind = event.type if isinstance(event, PassedFrame) else ""
        if isinstance(event, client.ResponseRequested) or kind == "response.create":
            self._fail(getattr(event, "event_id", None))
            return True
        return isinstance(event, client.AudioAppended | client.AudioCommitted) or kind in _SOUND

    def _is_answer_to_us(self, said: UpstreamSaid) -> bool:
        if said.type != "error" or not self._asked_ids:
            return False
        return part_of(said.body, "error").get("event_id") in self._asked_ids

    # --- what is said --------------------------------------------------------------------------

    def _collect(self, now: float) -> None:
        """Look at what the session wants done, and charge what a host session tells."""
        while actions := self._inner.actions():
            self._actions += actions
            for action in actions:
                if type(action) is Send:
                    self._note(action.event, now)
                elif type(action) is Hang:
                    self._over = True

    def _note(self, event: ServerEvent, now: float) -> None:
        if not isinstance(event, PassedFrame) and not self._relayed:
            self._charge(self._costs.note(event, now))
        kind = event.type if isinstance(event, PassedFrame) else str(event.__struct_config__.tag)
        if kind not in ("response.created", "response.done"):
            return
        response = part_of(_body(event), "response")
        response_id = str(response.get("id"))
        if kind == "response.created":
            self._began(response_id, response.get("metadata"), now)
        else:
            self._ended(response_id, now)

    def _began(self, response_id: str, metadata: object, now: float) -> None:
        self._open.add(response_id)
        if self._spent is None:
            return
        if metadata == marked(_SPENT):
            self._last_words = response_id
        else:
            self._cancel(response_id, now)

    def _ended(self, response_id: str, now: float) -> None:
        self._open.discard(response_id)
        self._say_if_free(now)
        if response_id == self._last_words and self._hang_at is not None:
            heard_at = max(now, self._costs.audible_until)
            self._hang_at = min(self._hang_at, heard_at + (_AFTER_SOUND_S if heard_at > now else 0.0))

    # --- budgets -------------------------------------------------------------------------------

    def _warn(self, near: BudgetNear, now: float) -> None:
        told = BudgetNearTold(event_id=self._ids("event"), budget=near.budget, used_share=near.used_share)
        self._send(told)
        if self._wording.near and self._costs.speaks:
            self._warning = True
            self._say_if_free(now)

    def _say_if_free(self, now: float) -> None:
        """Warn between two answers: in one that goes on the budget may be spent."""
        if self._warning and self._spent is None and not self._open:
            self._warning = False
            self._inner.receive(RemarkWanted(text=self._wording.near, about=_NEAR), now)

    def _take_leave(self, spent: BudgetSpent, now: float) -> None:
        self._spent = spent
        self._hang_at = now + _LEAVES_WITHIN_S
        told = BudgetSpentTold(event_id=self._ids("event"), budget=spent.budget, message=spent.message)
        self._send(told)
        if self._costs.caller_speaks:  # nobody will hear how that ends
            self._tell("input_audio_buffer.clear", client.AudioCleared(), now)
        for response_id in tuple(self._open):
            self._cancel(response_id, now)
        if self._wording.spent and self._costs.speaks:
            self._inner.receive(RemarkWanted(text=self._wording.spent, about=_SPENT), now)
        else:
            self._hang_at = min(self._hang_at, max(now, self._costs.audible_until))

    def _cancel(self, response_id: str, now: float) -> None:
        event = client.ResponseCancelled(response_id=response_id)
        self._tell("response.cancel", event, now, response_id=response_id)

    def _tell(self, kind: str, event: client.ClientEvent, now: float, **fields: str) -> None:
        """Say something in the peer's place: in a frame where a service listens."""
        if self._relayed:
            event_id = self._ids("event")
            self._asked_ids.add(event_id)
            body = {"type": kind, "event_id": event_id, **fields}
            frame = msgspec.json.encode(body).decode()
            event = PassedFrame(type=kind, event_id=event_id, frame=frame)
        self._inner.receive(event, now)

    def _hang(self, now: float) -> None:
        self._over, self._hang_at = True, None
        self.receive(client.PeerGone(), now)
        self._fail(None)
        self._actions.append(Hang(code=SPENT_CLOSE, reason=f"{QUOTA}.{QUOTA}"))

    def _fail(self, event_id: str | None) -> None:
        assert self._spent is not None, "a budget is spent"
        detail = ErrorDetail(
            type=QUOTA, code=QUOTA, message=self._spent.message, param=None, event_id=event_id
        )
        self._send(Failed(event_id=self._ids("event"), error=detail))

    def _send(self, event: ServerEvent) -> None:
        self._actions.append(Send(event=event))

    def _charge(self, charges: list[Charge]) -> None:
        self._actions += charges


def _body(event: ServerEvent) -> dict[str, Any]:
    if not isinstance(event, PassedFrame):
        response = getattr(event, "response", None)
        if isinstance(event, ResponseCreated):
            return {"response": {"id": event.response.id, "metadata": event.response.metadata}}
        return {"response": {"id": getattr(response, "id", None)}}
    if event.body is not None:
        return event.body
    return msgspec.json.decode(event.frame or "{}")
