"""A conversation that the service decides: frames pass, and kaiwa looks into the few it answers for.

Pins settings, runs the agent's tools, hides what is kaiwa's own and tells how it ended. Turns, items and
responses are the service's. Knows GA frames as JSON objects (their text only as something to pass on).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, cast

from kaiwa.errors import PeerError
from kaiwa.events import client, relay
from kaiwa.events.actions import Action
from kaiwa.events.budget import RemarkWanted
from kaiwa.events.own import SessionResumed
from kaiwa.events.relay import Forward, PassedFrame, UpstreamSaid
from kaiwa.events.tools import ToolProgress, ToolSaid, ToolSettled, ToolSpec
from kaiwa.session.outbox import Ids, Outbox
from kaiwa.session.relay import endings, hidden, pins
from kaiwa.session.relay.endings import Ending
from kaiwa.session.relay.hidden import HiddenItems
from kaiwa.session.relay.offered_tools import OfferedTools, offered
from kaiwa.session.relay.paced import CLEAR, TYPES, PacedRelay, interrupts
from kaiwa.session.relay.profile import RelayProfile
from kaiwa.session.relay.server_calls import ServerCalls
from kaiwa.session.remarks import Remarks

_TOUCHED: Final = frozenset({"session.update", "response.create"})
# Who has the floor is of interest even without tools: kaiwa has remarks of its own.
_ALWAYS: Final = frozenset(
    {
        "session.created",
        "response.created",
        "response.done",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.cleared",
        "error",
    }
)
_FOR_PINS: Final = frozenset({"session.updated"})
_WORDS: Final = "conversation.item.input_audio_transcription.completed"
_FOR_TOOLS: Final = hidden.TYPES | {_WORDS}
# An error is told once: a close that follows it within this time needs no second one.
_TOLD_FOR_S: Final = 5.0


def looks_at(profile: RelayProfile, specs: Sequence[ToolSpec]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the types of client and server frames whose `body` the session needs."""
    paced = TYPES if profile.paced or profile.may_call else frozenset[str]()
    if specs:
        return _TOUCHED, _ALWAYS | _FOR_TOOLS | paced
    if profile.pinned or profile.session:
        return _TOUCHED, _ALWAYS | _FOR_PINS | paced
    return frozenset(), _ALWAYS | paced


class RelaySession:
    """Fits `kaiwa.interfaces.Session`."""

    def __init__(
        self, profile: RelayProfile, *, ids: Ids, tools: Sequence[ToolSpec] = (), now: float
    ) -> None:
        self._profile = profile
        self._out = Outbox(ids)
        self._tools = OfferedTools(offered(tools), profile.session.get("tools"))
        may_be_paced = profile.paced or profile.may_call
        self._paced = PacedRelay(self._out, profile.paced) if may_be_paced else None
        self._calls = ServerCalls(
            self._out,
            tools,
            join_s=profile.join_s,
            turn_answer_s=profile.turn_answer_s,
            remarks=Remarks(profile.filler_s, profile.filler),
        )
        self._hidden = HiddenItems()
        self._effective: Mapping[str, Any] = {}
        self._phase: Literal["greeting", "settling", "open"] = "open" if profile.attached else "greeting"
        self._settles = bool(profile.session or self._tools)
        self._holds = self._settles or bool(profile.pinned)
        self._greeting: Mapping[str, Any] = {}
        self._settling_id = ""
        self._settle_until: float | None = None
        self._held: list[PassedFrame] = []
        self._lent_ids: set[str] = set()
        self._apart: set[str] = set()  # responses outside the conversation
        self._apart_asked = 0
        self._told: tuple[str, float] | None = None
        self._expires_at = None if profile.lifetime_s is None else now + profile.lifetime_s
        self._hearers = self._hearers_by_type()

    # --- the contract of a session -------------------------------------------------------------

    def receive(self, event: Any, now: float) -> None:
        if self._out.closed:
            return
        if type(event) is UpstreamSaid:
            hear = self._hearers.get(event.type) if event.body is not None else None
            if hear is None:
                self._out.show(event)
            else:
                hear(event, cast(dict[str, Any], event.body), now)
        elif type(event) is PassedFrame:
            self._take(event, now)
        else:
            self._receive_other(event, now)
        self._calls.pay(now)

    def next_timer(self) -> float | None:
        if self._out.closed:
            return None
        drained_at = None if self._paced is None else self._paced.drained_at()
        moments = (self._expires_at, self._settle_until, self._calls.due_at(), drained_at)
        return min((moment for moment in moments if moment is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if self._out.closed:
            return
        if self._expires_at is not None and now >= self._expires_at:
            self._end(endings.of_age((self._profile.lifetime_s or 0.0) / 60))
        elif self._settle_until is not None and now >= self._settle_until:
            self._end(endings.of_unsettled())
        else:
            if self._paced is not None:
                self._paced.handle_timer(now)
            self._calls.pay(now)

    def actions(self) -> list[Action]:
        return self._out.drain()

    def _receive_other(self, event: Any, now: float) -> None:
        remedies = self._profile.remedies
        match event:
            case ToolSettled():
                item_id = self._calls.settle(event)
                self._hide([] if item_id is None else [item_id])
            case ToolSaid():
                self._calls.say(event)
            case ToolProgress() if not self._profile.hide_tools:
                self._calls.report(event)
            case RemarkWanted():
                self._calls.remark(event.text, event.about)
            case client.FrameRejected():
                self._out.fail(
                    PeerError(
                        event.code,
                        event.message,
                        param=event.param,
                        event_id=event.rejected_event_id,
                        type=event.error_type,
                    )
                )
            case client.AudioAppended() if self._paced is not None:
                self._take(self._paced.append(event), now)
            case client.PeerLost(silent_s=silent_s):
                self._calls.away = True
                if self._paced is not None:
                    self._paced.lose(now - silent_s, now)
            case client.PeerReturned():
                self._welcome_back(event, now)
            case client.PeerGone():
                self._out.close()
            case relay.UpstreamRefused():
                self._end(endings.of_refusal(event, remedies))
            case relay.UpstreamUnreachable():
                self._end(endings.of_silence(event, remedies))
            case relay.UpstreamClosed():
                told = self._told[0] if self._told and now - self._told[1] <= _TOLD_FOR_S else None
                self._end(endings.of_close(event, told))
            case _:
                pass  # progress of hidden calls is nobody's here

    def _welcome_back(self, event: client.PeerReturned, now: float) -> None:
        self._calls.away = False
        if event.retell:
            self._out.send(SessionResumed, retold=True)
        if self._paced is not None:
            self._paced.come_back(event, str(self._effective.get("instructions") or ""), now)

    def _hide(self, item_ids: Sequence[str]) -> None:
        """Keep outputs of kaiwa's own calls from the peer, unless it is to see them."""
        if self._profile.hide_tools:
            for item_id in item_ids:
                self._hidden.hide(item_id)

    def _end(self, ending: Ending) -> None:
        if ending.error is not None:
            self._out.fail(ending.error)
        self._out.hang(ending.close_code, ending.reason)

    # --- what the peer says --------------------------------------------------------------------

    def _take(self, frame: PassedFrame, now: float) -> None:
        if self._holds and self._phase != "open":
            self._held.append(frame)
            if len(self._held) > self._profile.held_frames:
                self._end(endings.of_flood())
            return
        if self._paced is not None and self._paced.enabled and frame.type == CLEAR:
            self._paced.cut(now)
            return
        body = frame.body
        if body is None:
            self._out.ask(Forward(frame=frame))
            return
        if self._profile.pinned:
            # What was judged is what goes out: a text that says a key twice is read differently elsewhere.
            frame = PassedFrame(type=frame.type, event_id=frame.event_id, body=body)
        if refused := pins.refusal(body, self._profile.pinned, self._effective):
            self._out.fail(refused)
        elif frame.type == "session.update":
            self._update(frame, body)
        else:
            self._request(frame, body, now)

    def _update(self, frame: PassedFrame, body: Mapping[str, Any]) -> None:
        session = body.get("session")
        if not self._tools or not isinstance(session, dict):
            self._out.ask(Forward(frame=frame))
            return
        given = cast(dict[str, Any], session)
        event_id = self._id_of(frame)
        self._tools.propose(event_id, given)
        merged = {**given, "tools": self._tools.beside(given["tools"])} if "tools" in given else given
        self._forward(frame.type, {**body, "event_id": event_id, "session": merged})

    def _request(self, frame: PassedFrame, body: Mapping[str, Any], now: float) -> None:
        given = body.get("response")
        params = cast(dict[str, Any], given) if isinstance(given, dict) else {}
        offered: Any = params.get("tools")
        if params.get("conversation") == "none":
            # A response outside the conversation is the peer's alone.
            self._apart_asked += 1
            tools = self._tools.theirs if offered is None else offered
        else:
            self._calls.response_expected(now)
            tools = None if offered is None else self._tools.beside(offered)
        if self._tools and tools != offered:
            self._forward(frame.type, {**body, "response": {**params, "tools": tools}})
        else:
            self._out.ask(Forward(frame=frame))

    def _id_of(self, frame: PassedFrame) -> str:
        """Return the frame's id; one without gets ours, so that its error can be told apart."""
        if frame.event_id is not None:
            return frame.event_id
        event_id = self._out.new_id("event")
        self._lent_ids.add(event_id)
        return event_id

    def _forward(self, kind: str, body: dict[str, Any]) -> None:
        event_id = cast("str | None", body.get("event_id"))
        self._out.ask(Forward(frame=PassedFrame(type=kind, event_id=event_id, body=body)))

    # --- what the service says -----------------------------------------------------------------

    def _hearers_by_type(self) -> dict[str, Callable[[UpstreamSaid, dict[str, Any], float], None]]:
        fixed: dict[str, Callable[[UpstreamSaid, dict[str, Any], float], None]] = {
            "session.created": self._hear_greeting,
            "session.updated": self._hear_settings,
            "response.created": self._hear_response,
            "response.done": self._hear_response_end,
            "response.output_item.added": self._hear_output,
            "response.output_item.done": self._hear_output,
            "conversation.item.added": self._hear_item,
            "conversation.item.done": self._hear_item,
            "input_audio_buffer.speech_started": self._hear_speech,
            "input_audio_buffer.speech_stopped": self._hear_speech,
            "input_audio_buffer.cleared": self._hear_speech,
            "error": self._hear_error,
            _WORDS: self._hear_words,
        }
        if self._paced is not None:
            fixed["response.output_audio.delta"] = self._paced.sound
        return dict.fromkeys(hidden.TYPES, self._hear_any) | fixed

    def _hear_any(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        shown = self._hidden.shown(body) if self._profile.hide_tools else body
        if shown is body:
            self._out.show(said)
        elif shown is not None:
            self._out.show(PassedFrame(type=said.type, event_id=said.event_id, body=dict(shown)))

    def _hear_greeting(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        self._remember_settings(body)
        if self._profile.attached:
            # Who attaches is greeted by kaiwa, whether the service does so or not.
            self._put_tools_back()
            return
        if not self._settles or self._phase != "greeting":
            self._out.show(said)
            self._open(now)
            return
        self._phase, self._greeting = "settling", body
        self._settling_id, self._settle_until = self._out.new_id("event"), now + self._profile.settle_s
        session = {"type": self._profile.type, **self._profile.session}
        if self._tools:
            session["tools"] = self._tools.beside(session.get("tools"))
        update = {"type": "session.update", "event_id": self._settling_id, "session": session}
        self._forward("session.update", update)

    def _hear_settings(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        self._remember_settings(body)
        if self._phase == "settling":
            # The operator's settings hold: what the peer sees as the beginning has them already.
            event_id = self._greeting.get("event_id")
            created = {**body, "type": "session.created", "event_id": event_id}
            self._show_settings(PassedFrame(type="session.created", event_id=event_id, body=created), created)
            self._open(now)
            return
        self._lent_ids.discard(self._tools.accepted() or "")
        self._show_settings(said, body)
        if self._profile.attached:
            self._put_tools_back()

    def _put_tools_back(self) -> None:
        """Offer kaiwa's tools again where another peer of the service has taken them out."""
        tools = self._tools.lost(self._effective)
        if tools is None:
            return
        update = {"type": "session.update", "event_id": self._out.new_id("event")}
        session = {"type": self._profile.type, "tools": tools}
        self._forward("session.update", {**update, "session": session})

    def _open(self, now: float) -> None:
        """Let the peer's frames through, those first that came meanwhile."""
        self._phase, self._settle_until = "open", None
        held, self._held = self._held, []
        for frame in held:
            self._take(frame, now)

    def _show_settings(self, frame: PassedFrame, body: Mapping[str, Any]) -> None:
        hide = self._profile.hide_tools and self._tools
        shown = hidden.without_tools(body, self._tools.names) if hide else body
        if shown is body:
            self._out.show(frame)
        else:
            self._out.show(PassedFrame(type=frame.type, event_id=frame.event_id, body=dict(shown)))

    def _remember_settings(self, body: Mapping[str, Any]) -> None:
        session = body.get("session")
        self._effective = cast(dict[str, Any], session) if isinstance(session, dict) else {}

    def _hear_response(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        response = _part(body, "response")
        response_id = str(response.get("id"))
        # Old services name no conversation at all.
        if self._apart_asked and response.get("conversation_id") is None:
            self._apart_asked -= 1
            self._apart.add(response_id)
        else:
            self._calls.response_began(response_id, response.get("metadata"))
            if self._paced is not None:
                self._paced.began(response_id)
        self._out.show(said)

    def _hear_response_end(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        response_id = str(_part(body, "response").get("id"))
        self._apart.discard(response_id)
        self._calls.response_ended(_part(body, "response"), now)
        if self._paced is not None:
            self._paced.ended(response_id)
        self._hear_any(said, body, now)

    def _hear_output(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        item, response_id = _part(body, "item"), str(body.get("response_id"))
        if self._is_ours(item, response_id):
            if self._profile.hide_tools:
                self._hidden.hide(str(item.get("id")))
            if said.type.endswith(".done") and item.get("status") == "completed":
                self._hide(self._calls.begin(item, response_id))
        self._hear_any(said, body, now)

    def _is_ours(self, item: Mapping[str, Any], response_id: str) -> bool:
        return (
            item.get("type") == "function_call"
            and str(item.get("name")) in self._tools.names
            and response_id not in self._apart
        )

    def _hear_item(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        item = _part(body, "item")
        self._calls.taken(item.get("id"), now)
        if item.get("role") == "user":
            self._calls.user_said(str(item.get("id")))
        self._hear_any(said, body, now)

    def _hear_words(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        self._calls.worded(str(body.get("item_id")), str(body.get("transcript", "")))
        self._out.show(said)

    def _hear_speech(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        started = said.type.endswith("started")
        self._calls.speech(started, now)
        if started:
            self._hide(self._calls.interrupt())
        self._out.show(said)
        if started and self._paced is not None and interrupts(self._effective):
            self._paced.cut(now)

    def _hear_error(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        error = _part(body, "error")
        code, event_id = error.get("code"), error.get("event_id")
        if isinstance(event_id, str):
            if self._phase == "settling" and event_id == self._settling_id:
                param = error.get("param")
                self._end(endings.of_refused_settings(param if isinstance(param, str) else None))
                return
            if self._calls.refused(event_id, code if isinstance(code, str) else None):
                return
            if self._paced is not None and self._paced.refused(event_id):
                return
            self._tools.refused(event_id)
            if event_id in self._lent_ids:
                self._lent_ids.discard(event_id)
                stripped = {**body, "error": {**error, "event_id": None}}
                said = UpstreamSaid(type=said.type, event_id=said.event_id, body=stripped)
        self._told = (code if isinstance(code, str) else "server_error", now)
        self._out.show(said)


def _part(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
