"""A service whose sessions end before the conversation does, made to look like one whose sessions do not.

Stands between a relay session and its engine: when the service's session ends (its time is over, it broke, it
failed), another is asked for, told the conversation so far, and the answer under way goes on in it. The relay
session and its peer see one session with the ids they know. Knows GA frames as JSON objects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Literal

from kaiwa.events import client, relay
from kaiwa.events.actions import Action, Ask
from kaiwa.events.relay import Forward, PassedFrame, UpstreamSaid
from kaiwa.interfaces import Session
from kaiwa.session.absence import GO_ON
from kaiwa.session.outbox import Ids
from kaiwa.session.relay import pending, splice, transcript
from kaiwa.session.relay.aliases import Aliases, body_of, part_of
from kaiwa.session.relay.hidden import HiddenItems
from kaiwa.session.relay.pending import Pending
from kaiwa.session.relay.reopening import Renewal, Reopening
from kaiwa.session.relay.second_parts import SecondParts
from kaiwa.session.relay.seeds import Seeds
from kaiwa.session.relay.session_facts import (
    answers_turns,
    detection_of,
    heard_letters_per_ms,
    settings_again,
    sound_ms,
)
from kaiwa.session.relay.splice import SOUND, Answer, Splice, closing
from kaiwa.session.relay.transcript import Transcript, spoken_item

_ENDINGS: Final = frozenset(
    {
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.output_text.done",
        "response.function_call_arguments.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
    }
)
TYPES: Final = (
    _ENDINGS
    | transcript.TYPES
    | pending.TYPES
    | splice.TYPES
    | {
        "session.created",
        "session.updated",
        "input_audio_buffer.committed",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
    }
)
"""The server frames whose body this has to see."""
_GOING: Final = frozenset({1001, 1006, 1011, 1012, 1013, 1014})
_KEPT_TURNS: Final = 64


class UnbrokenSession:
    """Fits `kaiwa.interfaces.Session` over a relay session. `looks`: the types whose body that one sees."""

    def __init__(self, inner: Session, looks: frozenset[str], renewal: Renewal, *, ids: Ids) -> None:
        self._inner = inner
        self._looks = looks
        self._renewal = renewal
        self._ids = ids
        self._state: Literal["first", "open", "waiting", "greeting"] = "first"
        self._transcript = Transcript()
        self._pending = Pending()
        self._aliases = Aliases()
        self._parts = HiddenItems()
        self._effective: Mapping[str, Any] = {}
        self._session_id: object = None
        self._conversation_id: object = None
        self._endings: list[UpstreamSaid] = []
        self._answer: Answer | None = None
        self._splice: Splice | None = None
        self._asked: Mapping[str, Any] = {}
        self._answer_due = False
        self._again = 0
        self._speech: str | None = None
        self._turn_ends = False
        self._rejoins_speech: str | None = None
        self._committed: deque[str] = deque(maxlen=_KEPT_TURNS)
        self._second_parts = SecondParts()
        self._own: set[str] = set()
        self._seeds = Seeds(self._transcript, self._aliases, ids=ids)
        self._hidden_update = False
        self._reopening = Reopening(renewal)
        self._actions: list[Action] = []

    # --- the contract of a session -------------------------------------------------------------

    def receive(self, event: Any, now: float) -> None:
        match event:
            case UpstreamSaid():
                self._hear(event, now)
            case relay.UpstreamOpened():
                self._open(event, now)
            case relay.UpstreamClosed() if self._can_go_on(event):
                self._break(now, failed=True)
            case relay.UpstreamClosed() if self._state == "waiting":
                pass  # of the session that is given up
            case relay.UpstreamRefused() | relay.UpstreamUnreachable() if self._state == "waiting":
                if not self._reopening.tries_again(now):
                    self._inner.receive(event, now)
            case client.PeerReturned(retell=True):
                self._inner.receive(event, now)
                self._collect(now)
                self._retell(now)
            case _:
                self._inner.receive(event, now)
        self._collect(now)
        self._renew_if_due(now)

    def next_timer(self) -> float | None:
        moments = (self._inner.next_timer(), self._reopening.try_at, self._renew_due())
        return min((moment for moment in moments if moment is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if self._reopening.is_due(now):
            self._reopen(failed=True)
        self._inner.handle_timer(now)
        self._collect(now)
        self._renew_if_due(now)

    def actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _collect(self, now: float) -> None:
        """Take what the relay session wants done; what it tells the service goes by way of here."""
        for action in self._inner.actions():
            if isinstance(action, Ask) and isinstance(action.command, Forward):
                self._tell(action.command.frame, now)
            else:
                self._actions.append(action)

    # --- what goes to the service --------------------------------------------------------------

    def _tell(self, frame: PassedFrame, now: float) -> None:
        self._pending.add(frame)
        if frame.type == "response.create":
            self._asked = body_of(frame)
        if frame.type == "response.cancel" and self._state in ("waiting", "greeting"):
            self._end_answer("cancelled", now)
        elif self._state in ("first", "open"):
            self._forward(frame, now)

    def _forward(self, frame: PassedFrame, now: float) -> None:
        cut = self._seeds.cut_off(frame)
        if cut is not None and cut.body is not None:
            self._note(cut)
            for wish in self._seeds.told_anew(cut.body["item_id"]):
                self._say(**wish)
            self._show(cut, now)
            return
        frame = self._aliases.outward(self._second_parts.outward(frame))
        self._actions.append(Ask(command=Forward(frame=frame)))

    def _say(self, type: str, **fields: Any) -> None:
        event_id = self._ids("event")
        self._own.add(event_id)
        body = {"type": type, "event_id": event_id, **fields}
        frame = PassedFrame(type=type, event_id=event_id, body=body)
        self._actions.append(Ask(command=Forward(frame=frame)))

    # --- what the service says -----------------------------------------------------------------

    def _hear(self, said: UpstreamSaid, now: float) -> None:
        if self._state == "waiting":
            return  # of the session that is given up
        if said.type == "session.created":
            self._greeted(said, now)
            return
        # As if no parts of answers had been put into the conversation again.
        seen = self._parts.without(self._second_parts.inward(self._aliases.inward(said)))
        if seen is None:
            return
        said = seen
        if said.type == "error":
            self._hear_error(said, now)
            return
        for one in self._joined(self._in_one_conversation(said)):
            if self._is_lost_answer(one):
                self._break(now, failed=not _expired(one))
                return
            if not self._is_echo(one):
                self._hear_in_order(one, now)

    def _hear_in_order(self, said: UpstreamSaid, now: float) -> None:
        """Hold back how an item of the answer ends, until it is known whether the answer is to go on."""
        answer = self._answer
        if answer is not None and answer.open is not None and _ends(said, answer.open.get("id")):
            self._endings.append(said)
            if said.type != "response.output_item.done" or _status(said) != "completed":
                return
            said = self._endings.pop()
        if self._endings and said.type in ("response.output_item.done", "response.done"):
            endings, self._endings = self._endings, []
            for one in endings:
                self._note(one)
                self._show(one, now)
        self._note(said)
        self._show(said, now)

    def _in_one_conversation(self, said: UpstreamSaid) -> UpstreamSaid:
        """Return the frame with the name that the conversation had first."""
        if said.type != "response.created":
            return said
        theirs = part_of(said.body, "response").get("conversation_id")
        self._conversation_id = self._conversation_id or theirs
        if theirs is None or theirs == self._conversation_id:
            return said
        self._aliases.add(theirs, self._conversation_id)
        return self._aliases.inward(said)

    def _joined(self, said: UpstreamSaid) -> list[UpstreamSaid]:
        if self._splice is None:
            return [said]
        shown = self._splice.hear(said, sound_ms(said, self._effective) if said.type == SOUND else 0.0)
        if said.type in ("response.created", "response.output_item.added"):
            shown = [self._aliases.inward(one) for one in shown]
        if said.type == "response.done":
            if self._splice.repeats:
                self._second_parts.forget(self._splice.item_id)
            self._splice = None
        return shown

    def _show(self, said: UpstreamSaid, now: float) -> None:
        if said.body is not None and said.frame is not None and said.type not in self._looks:
            said = UpstreamSaid(type=said.type, event_id=said.event_id, frame=said.frame)
        self._inner.receive(said, now)
        self._collect(now)

    def _is_echo(self, said: UpstreamSaid) -> bool:
        """Whether this only answers what the peer knows nothing of."""
        match said.type:
            case "session.updated" if self._hidden_update:
                self._hidden_update = False
                return True
            case "input_audio_buffer.speech_started" if self._rejoins_speech is not None:
                self._aliases.add((said.body or {}).get("item_id"), self._rejoins_speech)
                self._rejoins_speech = None
                return True
            case _:
                return self._seeds.is_echo(said)

    def _note(self, said: UpstreamSaid) -> None:
        """Keep in mind what the conversation comes to."""
        body = said.body
        if said.type == SOUND:
            self._note_sound(said)
        if said.type != "conversation.item.added" or self._is_wish(part_of(body, "item")):
            self._pending.answered(said.type)
        if body is None:
            return
        self._transcript.hear(said.type, body)
        match said.type:
            case "session.updated":
                self._remember(part_of(body, "session"))
            case "input_audio_buffer.speech_started":
                self._speech = str(body.get("item_id"))
                self._pending.keeps_bytes = pending.SPEECH_BYTES
            case "input_audio_buffer.speech_stopped":
                self._speech, self._turn_ends = None, True
            case "input_audio_buffer.committed":
                self._turn_ends = False
                self._committed.append(str(body.get("item_id")))
                self._answer_due = answers_turns(self._effective)
                self._bound_sound()
            case kind if kind.startswith("response."):
                self._note_answer(kind, body)
            case _:
                pass

    def _note_answer(self, kind: str, body: Mapping[str, Any]) -> None:
        answer = self._answer
        if kind == "response.created":
            response = part_of(body, "response")
            if self._is_apart(response):
                return
            self._answer, self._answer_due = Answer(response, self._asked), False
            self._asked = {}
        elif answer is None or _response_id(body) != answer.id:
            return
        elif kind == "response.output_item.added":
            answer.open, answer.has_part, answer.told_ms = part_of(body, "item"), False, 0.0
        elif kind == "response.content_part.added":
            answer.has_part = True
        elif kind == "response.output_item.done":
            answer.done.append(part_of(body, "item"))
            answer.open = None
        elif kind == "response.done":
            self._answer, self._again = None, 0
            self._reopening.answered()

    def _note_sound(self, said: UpstreamSaid) -> None:
        answer = self._answer
        if answer is None or answer.open is None or answer.id not in (said.frame or str(said.body)):
            return
        audio_ms = sound_ms(said, self._effective)
        answer.told_ms += audio_ms
        self._transcript.sounded(str(answer.open.get("id")), audio_ms)

    def _hear_error(self, said: UpstreamSaid, now: float) -> None:
        error = part_of(said.body, "error")
        event_id = error.get("event_id")
        if error.get("code") == "session_expired":
            self._break(now, failed=False)
            return
        if isinstance(event_id, str):
            self._pending.refused(event_id)
            if event_id in self._own:
                self._own.discard(event_id)
                return
        elif error.get("type") == "server_error" and (self._answer or not self._pending.wishes):
            return  # nobody's wish failed: what it breaks shows by itself
        self._show(said, now)

    def _is_wish(self, item: Mapping[str, Any]) -> bool:
        """Whether somebody asked for this item; it came not out of a turn or an answer."""
        item_id = item.get("id")
        spoken = None if self._answer is None or self._answer.open is None else self._answer.open.get("id")
        return item_id != spoken and item_id not in self._committed

    def _is_apart(self, response: Mapping[str, Any]) -> bool:
        """Whether a response is outside the conversation."""
        return response.get("conversation_id") is None and (
            part_of(self._asked, "response").get("conversation") == "none"
        )

    def _is_lost_answer(self, said: UpstreamSaid) -> bool:
        """Whether an answer failed through no fault of the peer's, and may be asked for again."""
        if said.type != "response.done" or self._answer is None or self._again >= self._renewal.answers:
            return False
        response = part_of(said.body, "response")
        if response.get("id") != self._answer.id or response.get("status") != "failed":
            return False
        error = part_of(part_of(response, "status_details"), "error")
        return "server_error" in (error.get("type"), error.get("code")) or _expired(said)

    # --- sessions at the service ---------------------------------------------------------------

    def _open(self, opened: relay.UpstreamOpened, now: float) -> None:
        if self._state == "waiting":
            self._state = "greeting"
        self._reopening.opened(opened.lives_s, now)

    def _greeted(self, said: UpstreamSaid, now: float) -> None:
        session = part_of(said.body, "session")
        if self._state == "first":
            self._state, self._session_id = "open", session.get("id")
            self._remember(session)
            self._show(said, now)
            return
        self._aliases.add(session.get("id"), self._session_id)
        self._state = "open"
        self._reopening.greeted()
        self._seed()
        self._go_on(now)

    def _remember(self, session: Mapping[str, Any]) -> None:
        self._effective = session
        self._pending.bytes_per_ms = heard_letters_per_ms(session)
        self._bound_sound()

    def _bound_sound(self) -> None:
        quiet = self._speech is None and detection_of(self._effective) is not None
        self._pending.keeps_bytes = pending.QUIET_BYTES if quiet else pending.SPEECH_BYTES

    def _can_go_on(self, closed: relay.UpstreamClosed) -> bool:
        in_use = self._state in ("open", "greeting")
        return in_use and self._reopening.may_go_on and closed.code in _GOING

    def _break(self, now: float, *, failed: bool) -> None:
        """Begin another session: the present one is over, or of no more use."""
        at_once = self._reopening.broke(now, greeted=self._state == "open")
        self._state = "waiting"
        self._endings, self._turn_ends = [], False
        if self._speech is not None:  # it is interrupted anyway
            self._end_answer("cancelled", now)
        if self._answer is not None and self._answer.open is None and self._answer.done:
            self._end_answer("completed", now)
        if at_once:
            self._reopen(failed=failed)

    def _reopen(self, *, failed: bool) -> None:
        self._actions.append(Ask(command=relay.Reopen(failed=failed)))

    def _renew_due(self) -> float | None:
        if self._state != "open":
            return None
        busy = self._answer or self._speech or self._turn_ends or self._answer_due or self._pending.wishes
        return self._reopening.renew_at(busy=bool(busy))

    def _renew_if_due(self, now: float) -> None:
        due = self._renew_due()
        if due is not None and now >= due:
            self._break(now, failed=False)

    # --- telling a new session -----------------------------------------------------------------

    def _seed(self) -> None:
        """Tell the new session its settings and the conversation so far."""
        self._own.clear()
        self._hidden_update = True
        self._say("session.update", session=settings_again(self._effective))
        for item in self._seeds.plant():
            self._say("conversation.item.create", item=item)
        self._rejoins_speech = self._speech

    def _go_on(self, now: float) -> None:
        """Ask for what was under way when the session before ended."""
        answer, asked_again = self._answer, False
        if answer is not None:
            self._ask_again(answer)
            asked_again = True
        for frame in self._pending.take():
            self._pending.add(frame)
            self._forward(frame, now)
            asked_again = asked_again or frame.type == "response.create"
        if self._answer_due and not asked_again:
            self._say("response.create")

    def _ask_again(self, answer: Answer) -> None:
        self._again += 1
        told = None if answer.open is None else self._transcript.find(str(answer.open.get("id")))
        words = "" if told is None else told.words
        kept = told.sounded if told is not None and answer.open is not None else ""
        params = dict(part_of(answer.asked, "response"))
        if kept.strip() and answer.open is not None and answer.open.get("type") == "message":
            item_id = self._ids("item")
            self._parts.hide(item_id)
            self._say("conversation.item.create", item=spoken_item(item_id, kept))
            usual = params.get("instructions") or self._effective.get("instructions") or ""
            params["instructions"] = f"{usual}\n\n{GO_ON}".strip()
            self._second_parts.begin(str(answer.open.get("id")), answer.told_ms)
        else:
            kept = ""
        self._splice = Splice(answer, words, kept, self._aliases)
        self._say("response.create", **({"response": params} if params else {}))

    def _end_answer(self, status: str, now: float) -> None:
        """Tell the peer that the answer under way is over, as the session would have that ended."""
        answer = self._answer
        if answer is None:
            return
        told = None if answer.open is None else self._transcript.find(str(answer.open.get("id")))
        self._answer = self._splice = None
        for said in closing(answer, "" if told is None else told.words, status, self._ids):
            self._transcript.hear(said.type, said.body or {})
            self._show(said, now)

    def _retell(self, now: float) -> None:
        """Tell the peer of every item again."""
        for said in self._transcript.retold(self._ids):
            self._show(said, now)


def _ends(said: UpstreamSaid, item_id: object) -> bool:
    """Whether a frame tells how this item ends."""
    if said.type not in _ENDINGS or said.body is None:
        return False
    return item_id == (said.body.get("item_id") or part_of(said.body, "item").get("id"))


def _status(said: UpstreamSaid) -> object:
    return part_of(said.body, "item").get("status")


def _expired(said: UpstreamSaid) -> bool:
    """Whether an answer failed because the session's time was over."""
    details = part_of(part_of(said.body, "response"), "status_details")
    return part_of(details, "error").get("code") == "session_expired"


def _response_id(body: Mapping[str, Any]) -> str:
    return str(body.get("response_id") or part_of(body, "response").get("id"))
