"""From an upgrade request to a peer that is let in, or to the reason why not. Opens and sends nothing.

Source: reference A1.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
from starlette.websockets import WebSocket

from kaiwa.errors import UpstreamError
from kaiwa.events.config import AudioInput, AudioOutput, SessionAudio, SessionConfig, Transcription
from kaiwa.policy.caller import ANYBODY, Caller
from kaiwa.policy.holds import Hold, LimitReached
from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.server.access import origin_fits
from kaiwa.server.conversations import Admitted
from kaiwa.server.directory import Directory
from kaiwa.server.doors import Doors, Visitor
from kaiwa.server.ephemeral import EphemeralKeys, Minted
from kaiwa.server.ids import new_id
from kaiwa.server.settings import Settings
from kaiwa.tools.agent import Agent

SHOWN_LETTERS = 64
TRANSCRIBER = "whisper-1"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An `error` event and the close code that follows it."""

    code: str
    message: str
    close_code: int
    type: str = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Observing:
    """A peer that wants to see and steer a live call. `minted`: its ephemeral key, if it came with one."""

    call_id: str
    minted: Minted | None


BAD_KEY = Refusal("invalid_api_key", "Incorrect API key provided.", 3000)
BAD_ORIGIN = Refusal(
    "insufficient_permissions", "This origin may not connect. Add it to KAIWA_ALLOWED_ORIGINS.", 3000
)
NO_SCOPE = Refusal(
    "insufficient_permissions",
    "You have insufficient permissions for this operation. Missing scopes: realtime.",
    3000,
)
NO_MODEL = Refusal(
    "missing_model",
    "You must provide a model parameter, for example ws://127.0.0.1:8000/v1/realtime?model=gpt-realtime",
    4000,
)


@dataclass
class Admission:
    """The rules of the door: key, origin, scope, call, room, model, in this order. `settings` may change."""

    settings: Settings
    directory: Directory
    doors: Doors

    @property
    def keys(self) -> EphemeralKeys:
        """The keys of pages."""
        return self.doors.tokens

    async def visitor(self, socket: WebSocket) -> Visitor | Refusal:
        """Return who talks, if they may talk here at all."""
        visitor = await self.doors.visitor(socket)
        if visitor is None:
            return BAD_KEY
        if not origin_fits(socket, self.settings.allowed_origins):
            return BAD_ORIGIN
        return visitor if visitor.caller.may("realtime") else NO_SCOPE

    async def judge(self, socket: WebSocket, dialect: Dialect, live: int) -> Admitted | Observing | Refusal:
        """Decide about a peer while `live` sessions are open."""
        visitor = await self.visitor(socket)
        if isinstance(visitor, Refusal):
            return visitor
        caller = visitor.caller
        minted = visitor.minted if visitor.opens_one_session else None
        call_id = socket.query_params.get("call_id")
        if call_id is not None:
            return Observing(call_id, minted)
        if live >= self.settings.max_sessions:
            return self.no_room()
        if minted is None and socket.query_params.get("intent") == "transcription":
            return Admitted(self.directory.plain, dialect, self.first_transcription(), caller=caller)
        query = socket.query_params
        return self.session(query.get("model") or query.get("deployment"), dialect, minted, caller)

    async def enter(self, caller: Caller) -> Hold | Refusal:
        """Count a session as one request of its caller."""
        try:
            hold = await self.doors.enter(caller)
        except UpstreamError as away:
            return Refusal(away.code, away.message, 1013, "server_error")
        if isinstance(hold, LimitReached):
            return Refusal(hold.code, hold.message, 4029, hold.type)
        return hold

    def first_session(self, agent: Agent, model: str) -> SessionConfig:
        """Return the session that a peer of this agent begins with."""
        output = AudioOutput(voice=agent.voice) if agent.voice else AudioOutput()
        return SessionConfig(
            id=new_id("sess"),
            model=model,
            instructions=agent.instructions,
            expires_at=self._end(),
            audio=SessionAudio(output=output),
        )

    def first_transcription(self) -> SessionConfig:
        """Return what a session begins with that only writes down what it hears."""
        return SessionConfig(
            type="transcription",
            object="realtime.transcription_session",
            id=new_id("sess"),
            expires_at=self._end(),
            audio=SessionAudio(input=AudioInput(transcription=Transcription(model=TRANSCRIBER))),
        )

    def session(
        self, model: str | None, dialect: Dialect, minted: Minted | None, caller: Caller = ANYBODY
    ) -> Admitted | Refusal:
        """Return the session that a model's name asks for; what a key was minted for wins."""
        if minted is not None:
            return self._as_minted(dialect, minted, caller)
        if not model:
            return NO_MODEL
        agent = self.directory.find(model)
        if agent is None or not caller.may_use(model):
            return self._no_such_model(model, caller)
        return Admitted(agent, dialect, self.first_session(agent, model), caller=caller)

    def _as_minted(self, dialect: Dialect, minted: Minted, caller: Caller) -> Admitted:
        """The key says what the session is, whatever the address says besides."""
        assert minted.config is not None, "a key for a session holds it"
        config = msgspec.structs.replace(minted.config, id=new_id("sess"), expires_at=self._end())
        agent = self.directory.find(config.model) if config.type == "realtime" else None
        return Admitted(agent or self.directory.plain, dialect, config, caller=caller)

    def _end(self) -> int:
        return int(time.time() + self.settings.session_minutes * 60)

    def _no_such_model(self, model: str, caller: Caller) -> Refusal:
        known = ", ".join(name for name in self.directory.names if caller.may_use(name))
        text = f"The model '{model[:SHOWN_LETTERS]}' does not exist. Known: {known}."
        return Refusal("model_not_found", text, 4004)

    def no_room(self) -> Refusal:
        text = f"All {self.settings.max_sessions} sessions are in use. Try again later (KAIWA_MAX_SESSIONS)."
        return Refusal("server_busy", text, 1013, "server_error")


def no_call(call_id: str) -> Refusal:
    return Refusal("call_not_found", f"No live call has the id '{call_id[:SHOWN_LETTERS]}'.", 4004)
