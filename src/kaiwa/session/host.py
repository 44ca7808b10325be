"""The session in which we decide: turns, items, responses and calls are ours, an engine only answers.

`HostSession` takes every event to the noun that knows it and joins their consequences. It knows no
socket, clock, task or randomness; it never raises on what a peer, an engine or a tool sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET

from kaiwa.errors import PeerError
from kaiwa.events import client, engine, server, tools
from kaiwa.events.actions import Action
from kaiwa.events.budget import BudgetEvent, RemarkWanted
from kaiwa.events.client import ClientEvent, ResponseParams
from kaiwa.events.config import SessionConfig, TurnDetection
from kaiwa.events.engine import EngineEvent
from kaiwa.events.items import McpApprovalResponse, Message
from kaiwa.events.own import SessionResumed
from kaiwa.events.tools import ToolEvent, ToolProgress, ToolSpec
from kaiwa.events.usage import Usage
from kaiwa.session import errors, user_turns
from kaiwa.session.absence import GO_ON, Absence
from kaiwa.session.answers import Answers
from kaiwa.session.calls import CallLedger
from kaiwa.session.conversation import Conversation, Entry, user_audio
from kaiwa.session.ending import Ending
from kaiwa.session.floor import Floor
from kaiwa.session.hearing import Hearing
from kaiwa.session.input_audio import InputAudio
from kaiwa.session.item_rules import wording
from kaiwa.session.items import Items
from kaiwa.session.mcp import Listings
from kaiwa.session.mcp_calls import RemoteCalls
from kaiwa.session.mcp_rules import shown
from kaiwa.session.outbox import Ids, Outbox
from kaiwa.session.own_calls import OwnCalls
from kaiwa.session.paced import PacedOutput, truncating
from kaiwa.session.plan import Plan, planned
from kaiwa.session.policy import HostPolicy
from kaiwa.session.responses import LiveResponse
from kaiwa.session.settings import updated
from kaiwa.session.silence import Silence
from kaiwa.session.sounds import Sounds
from kaiwa.session.transcripts import Transcripts
from kaiwa.session.user_turns import TurnNews, UserTurns

USUAL = HostPolicy()
AS_CONFIGURED = ResponseParams()
# An answer to results must be free to speak: a forced call would call for ever.
WITHOUT_FORCE = ResponseParams(tool_choice="auto")


class HostSession:
    """One conversation. Feed it with `receive` and `handle_timer`, then drain `actions`."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        ids: Ids,
        policy: HostPolicy = USUAL,
        tools: Sequence[ToolSpec] = (),
        servers: Sequence[str] = (),
        now: float,
    ) -> None:
        """`servers` are the labels of the agent's MCP servers."""
        self.config = config if config.id else msgspec.structs.replace(config, id=ids("sess"))
        self.policy = policy
        sounds = Sounds(policy.kept_sound_bytes, policy.item_sound_bytes)
        self.conversation = Conversation(ids("conv"), sounds)
        self._outbox = Outbox(ids)
        self._floor = Floor()
        audio = InputAudio(self.config.audio.input.format, policy.item_sound_bytes)
        self._turns = UserTurns(policy, self._floor, ids)
        heard_only = truncating(self.conversation, self._outbox)
        self._paced = PacedOutput(policy.paced_output, self._outbox, self._floor, heard_only)
        self._listings = Listings(self._outbox, self.conversation)
        grace_s = policy.approval_grace_ms / 1000
        self._remote = RemoteCalls(self._outbox, self.conversation, self._listings, grace_s)
        self._answers = Answers(
            policy, self._outbox, self.conversation, self._floor, self._paced, self._remote
        )
        self._transcripts = Transcripts(self._outbox, self.conversation)
        self._calls = CallLedger(policy.join_ms / 1000)
        self._items = Items(self._outbox, self.conversation, audio, self._transcripts, self._calls)
        self._hearing = Hearing(
            policy, self._outbox, self.conversation, audio, self._turns, self._transcripts, self._items
        )
        self._own = OwnCalls(tools, policy, self._outbox, self.conversation, self._calls, self._items)
        self._absence = Absence()
        self._expires_at = None if policy.lifetime_s is None else now + policy.lifetime_s
        self._silence = Silence()
        self._ending = Ending(policy.lifetime_s, self._outbox, self._answers, self._own, self._remote)
        self._handlers = self._handlers_by_type()
        self._turns.configure(self._detection)
        self._outbox.send(server.SessionCreated, session=shown(self.config))
        self._listings.begin(servers, self.config.tools)
        self._hearing.listen(self.config.audio.input)

    # --- the doorway ---------------------------------------------------------------------------

    def receive(self, event: ClientEvent | EngineEvent | ToolEvent | BudgetEvent, now: float) -> None:
        if self._outbox.closed:
            return
        try:
            self._handlers[type(event)](event, now)
        except PeerError as error:
            error.event_id = getattr(event, "event_id", None)
            self._outbox.fail(error)
        self._say_what_is_due(now)

    def next_timer(self) -> float | None:
        if self._outbox.closed:
            return None
        moments = (
            self._expires_at,
            self._turns.deadline,
            self._silence.due_at,
            self._paced.drained_at(),
            self._say_next_at(),
            self._remote.due_at if self._answers.active is None else None,
        )
        return min((moment for moment in moments if moment is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if self._outbox.closed:
            return
        if self._expires_at is not None and now >= self._expires_at:
            self._ending.expire()
            return
        self._follow(self._turns.handle_timer(now), now)
        self._paced.handle_timer(now)
        self._answer_silence(now)
        due_at = self._remote.due_at
        if due_at is not None and now >= due_at and self._answers.active is None:
            self._answers.make_approved(self._plan())
        self._say_what_is_due(now)

    def actions(self) -> list[Action]:
        return self._outbox.drain()

    @property
    def usages(self) -> Sequence[Usage]:
        """The usage of every response so far, in order."""
        return self._answers.usages

    @property
    def silence_ms(self) -> int | None:
        """How long the user had been silent when its last turn was taken to be over; None: nobody knows."""
        return self._turns.silence_ms

    @property
    def tool_progress(self) -> dict[str, ToolProgress]:
        """The latest progress of each running call."""
        return dict(self._calls.progress)

    def _handlers_by_type(self) -> dict[type, Callable[[Any, float], None]]:
        answers, transcripts, items = self._answers, self._transcripts, self._items
        return {
            client.AudioAppended: self._append_audio,
            engine.VoiceActivity: lambda event, now: self._follow(self._turns.hear(event, now), now),
            engine.TurnLikelihood: lambda event, now: self._follow(self._turns.judge(event, now), now),
            client.AudioCommitted: self._commit_audio,
            client.AudioCleared: self._clear_audio,
            client.OutputAudioCleared: self._clear_output,
            client.SettingsChanged: self._change_settings,
            client.ItemCreated: self._create_item,
            client.ItemRetrieveRequested: lambda event, now: items.retrieve(event.item_id),
            client.ItemTruncateRequested: self._truncate_item,
            client.ItemDeleteRequested: self._delete_item,
            client.ResponseRequested: self._request_response,
            client.ResponseCancelled: self._cancel_response,
            client.FrameRejected: lambda event, now: self._outbox.fail(errors.rejected(event)),
            client.PeerGone: lambda event, now: self._ending.leave(),
            client.PeerLost: self._lose_peer,
            client.PeerReturned: self._welcome_back,
            engine.TextDelta: lambda event, now: answers.say(event),
            engine.AudioDelta: answers.sound,
            engine.ArgumentsDelta: lambda event, now: answers.argue(event),
            engine.ToolCalled: self._call_tool,
            engine.GenerationEnded: self._finish_response,
            engine.TranscriptDelta: lambda event, now: transcripts.piece(event),
            engine.TranscriptDone: self._take_words,
            engine.TranscriptFailed: lambda event, now: transcripts.failed(event),
            engine.EngineFailed: lambda event, now: self._ending.lose_engine(event),
            tools.ToolProgress: lambda event, now: self._own.report(event),
            tools.ToolSaid: lambda event, now: self._own.say(event),
            tools.ToolSettled: self._settle_call,
            tools.ToolsListed: lambda event, now: self._listings.take(event),
            RemarkWanted: lambda event, now: self._own.remarks.say(event.text, event.about),
        }

    # --- settings ------------------------------------------------------------------------------

    @property
    def _detection(self) -> TurnDetection | None:
        return self.config.audio.input.turn_detection

    def _change_settings(self, event: client.SettingsChanged, now: float) -> None:
        locked = self.policy.lock_voice and self._answers.voiced
        before = self.config.audio.input
        self.config = updated(self.config, event.session, voice_locked=locked)
        after = self.config.audio.input
        if after.format != before.format:
            self._hearing.set_format(after.format)
        if after.turn_detection != before.turn_detection:
            self._follow(self._turns.configure(after.turn_detection), now)
            self._silence.broken()
            if self._turns.item_id != self._transcripts.followed:
                self._transcripts.unfollow()
        self._hearing.listen(after)
        self._outbox.send(server.SessionUpdated, session=shown(self.config))
        if event.session.tools is not UNSET:
            self._listings.configure(self.config.tools)

    # --- the user's audio ----------------------------------------------------------------------

    def _append_audio(self, event: client.AudioAppended, now: float) -> None:
        if event.audio:
            self._follow(self._hearing.append(event.audio, self.config), now)

    def _commit_audio(self, event: client.AudioCommitted, now: float) -> None:
        self._hearing.check_commit()
        spoken_id = self._hearing.spoken_id
        if spoken_id is None:
            self._own.consent.turn_began(heard=self._was_heard(now))
        self._follow(self._hearing.abandon(), now)
        self._silence.broken()
        self._own.consent.turn_ended(self._hearing.commit_all(spoken_id, self.config))

    def _clear_audio(self, event: client.AudioCleared, now: float) -> None:
        self._follow(self._hearing.abandon(), now)
        self._hearing.clear()

    def _clear_output(self, event: client.OutputAudioCleared, now: float) -> None:
        self._paced.cut(now)

    # --- turns ---------------------------------------------------------------------------------

    def _follow(self, news: tuple[TurnNews, ...], now: float) -> None:
        for fact in news:
            match fact:
                case user_turns.Began():
                    self._begin_turn(fact, now)
                case user_turns.Paused():
                    self._prepare(fact)
                case user_turns.WentOn() | user_turns.Dropped():
                    self._outbox.ask(engine.Abandon(item_id=fact.item_id))
                case user_turns.Ended():
                    self._end_turn(fact)

    def _begin_turn(self, turn: user_turns.Began, now: float) -> None:
        self._silence.broken()
        self._own.remarks.broken()
        self._own.consent.turn_began(heard=self._was_heard(now))
        self._hearing.began(turn, self.config)
        if self._detection is None or not self._detection.interrupt_response:
            return
        if self._answers.active is not None:
            self._answers.cancel(self._answers.active, by_speech=True)
        self._paced.cut(now)
        self._own.interrupt()

    def _was_heard(self, now: float) -> bool:
        """True when the peer has heard what was said, but for a last moment that needs no listening."""
        left_ms = (self._floor.until - now) * 1000
        return self._answers.active is None and left_ms <= self.policy.answer_window_ms

    def _prepare(self, pause: user_turns.Paused) -> None:
        generate = None
        if self._answers_turns() and self._answers.active is None and not self._calls.owed:
            generate = self._answers.foreseen(self._plan(), Entry(item=user_audio(pause.item_id)))
        self._hearing.paused(pause, generate, self.config)

    def _end_turn(self, turn: user_turns.Ended) -> None:
        self._silence.broken()
        self._hearing.ended(turn, self.config)
        self._own.consent.turn_ended(turn.item_id)
        if self._answers_turns():
            self._give_way()
            self._respond()

    def _answers_turns(self) -> bool:
        detection = self._detection
        return detection is not None and detection.create_response and self.config.type == "realtime"

    def _answer_silence(self, now: float) -> None:
        """The user said nothing for long: answer that, unless something else is going on."""
        lasted_ms = self._silence.passed(now)
        if lasted_ms is None:
            return
        if self._calls.any_running or self._remote.any_running or not self._floor_is_free():
            self._silence.begins(self._detection, now)
            return
        self._hearing.commit_silence(lasted_ms, self.config)
        self._own.consent.silence_passed()
        if self._answers_turns():
            self._respond()

    # --- items ---------------------------------------------------------------------------------

    def _create_item(self, event: client.ItemCreated, now: float) -> None:
        if event.item.id and event.item.id in (self._turns.item_id, self._transcripts.followed):
            raise errors.duplicate_item(event.item.id)  # what is spoken now has it
        answer = event.item if isinstance(event.item, McpApprovalResponse) else None
        if answer is not None:
            self._remote.check_answer(answer)
        self._items.create(event, self.config)
        if answer is not None:
            self._remote.answer(answer, now)
        if isinstance(event.item, Message) and event.item.role == "user" and event.previous_item_id is None:
            self._own.consent.turn_began(heard=self._was_heard(now))
            self._own.consent.turn_ended(str(self.conversation.last_id), wording(event.item))

    def _truncate_item(self, event: client.ItemTruncateRequested, now: float) -> None:
        self._items.truncate(event)
        self._floor.silence(now)

    def _delete_item(self, event: client.ItemDeleteRequested, now: float) -> None:
        stopped = self._items.delete(event.item_id)
        self._remote.drop(event.item_id)
        if stopped is not None:
            self._outbox.stop_tool(stopped)
            self._own.remarks.drop(stopped)

    # --- responses -----------------------------------------------------------------------------

    def _plan(self, params: ResponseParams = AS_CONFIGURED) -> Plan:
        plan = planned(self.config, self._own.offered, self._listings, params, self.conversation)
        return replace(plan, progress=self._own.progress)

    def _respond(self) -> None:
        """Answer the conversation as it stands, unless an answer is under way or nobody would hear it."""
        if self._absence.away:
            self._absence.owe()
        elif self._answers.active is None:
            self._start(self._plan())

    def _start(self, plan: Plan) -> None:
        self._answers.start(plan)
        if plan.in_conversation:
            self._silence.broken()
            self._own.remarks.broken()
            self._calls.paid()
            self._mark_beginning()

    def _mark_beginning(self) -> None:
        if self._answers.active is not None:
            self._own.consent.began(self._answers.active.id)

    def _give_way(self) -> None:
        """A remark in passing makes room for an answer."""
        active = self._answers.active
        if active is not None and active.plan.words is not None:
            self._answers.cancel(active, by_speech=False)

    def _request_response(self, event: client.ResponseRequested, now: float) -> None:
        if self.config.type != "realtime":
            raise errors.no_response_here()
        params = event.response
        plan = self._plan(AS_CONFIGURED if params is None or params is UNSET else params)
        if plan.in_conversation and plan.history is None and self._remote.due_at is not None:
            self._answers.make_approved(plan)
            return
        if plan.in_conversation:
            self._give_way()
            self._own.consent.requested()
        self._start(plan)

    def _cancel_response(self, event: client.ResponseCancelled, now: float) -> None:
        wanted = event.response_id
        response = self._answers.active if wanted is None else self._answers.find(wanted)
        if response is None:
            raise errors.nothing_to_cancel()
        self._answers.cancel(response, by_speech=False)

    def _finish_response(self, event: engine.GenerationEnded, now: float) -> None:
        response = self._answers.active
        was_active = self._answers.finish(event, now)
        if was_active and response is not None:
            self._note_end(response, event, now)
        if was_active:
            self._silence.begins(self._detection, max(self._floor.until, now))

    def _note_end(self, response: LiveResponse, event: engine.GenerationEnded, now: float) -> None:
        """Note what the end of a response of the conversation means for calls."""
        if response.plan.words is not None:
            return
        spoke = response.message_id is not None
        if event.reason == "completed" and spoke:
            self._own.consent.spoke(response.id)
        elif event.reason == "failed" and not spoke:
            self._calls.owe_again(now + self.policy.retell_ms / 1000, self.policy.max_retellings)
        if self._calls.any_running and not spoke and response.plan.spoken:
            self._own.remarks.silent_from(max(self._floor.until, now))

    # --- tools ---------------------------------------------------------------------------------

    def _call_tool(self, event: engine.ToolCalled, now: float) -> None:
        call = self._answers.call(event)
        if call is not None:
            self._own.begin(call, now, confirmed=event.confirmed)

    def _settle_call(self, event: tools.ToolSettled, now: float) -> None:
        if not self._remote.settle(event):
            self._own.settle(event, now)

    def _take_words(self, event: engine.TranscriptDone, now: float) -> None:
        self._transcripts.done(event)
        self._own.consent.worded(event.item_id, event.text)

    def _floor_is_free(self) -> bool:
        return self._answers.active is None and self._turns.quiet and not self._absence.away

    def _say_next_at(self) -> float | None:
        """Return when something is to be said that no turn asks for."""
        if not self._floor_is_free():
            return None
        moments = (self._calls.due_at(), self._own.remarks.due_at())
        return min((moment for moment in moments if moment is not None), default=None)

    def _say_what_is_due(self, now: float) -> None:
        """Answer what is owed, else make a remark, while nobody else speaks."""
        next_at = self._say_next_at()
        if next_at is None or next_at > now:
            return
        owed_at = self._calls.due_at()
        if owed_at is not None and owed_at <= now:
            self._start(self._plan(WITHOUT_FORCE))
        elif (remark := self._own.remarks.take(now)) is not None:
            plan = self._plan(WITHOUT_FORCE)
            words = replace(plan, tools=(), remote={}, words=remark.text, passing=remark.passing)
            self._answers.start(replace(words, metadata=remark.metadata))
            self._silence.broken()
            self._mark_beginning()

    # --- the peer's connection -----------------------------------------------------------------

    def _lose_peer(self, event: client.PeerLost, now: float) -> None:
        """Say nothing more where the server plays the sound; elsewhere the peer gets all of it later."""
        speaking = self._paced.enabled and self._answers.stop_speaking()
        cut_off = self._paced.lose(now - event.silent_s, now)
        self._absence.begin(cut_off=cut_off or speaking)

    def _welcome_back(self, event: client.PeerReturned, now: float) -> None:
        self._paced.enabled = event.paced
        if event.paced:
            self._paced.resume(event.sounds, now)
        if event.retell:
            self._outbox.send(SessionResumed, retold=True)
            self._items.retell()
        owed, cut_off = self._absence.end()
        if owed and self._answers.active is None and not self._calls.owed:
            params = WITHOUT_FORCE
            if cut_off:
                told = "\n\n".join(part for part in (self.config.instructions, GO_ON) if part)
                params = msgspec.structs.replace(WITHOUT_FORCE, instructions=told)
            self._start(self._plan(params))
