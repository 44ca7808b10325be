"""The Realtime endpoint: from an upgrade request to a running conversation, or to a refusal in band."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.events import server
from kaiwa.events.config import AudioOutput, SessionAudio, SessionConfig
from kaiwa.protocol.realtime.dialects import codec_for
from kaiwa.runner import converse
from kaiwa.server.access import key_fits, offered_keys, origin_fits, subprotocols
from kaiwa.server.conversations import Admitted, Answerer
from kaiwa.server.directory import Directory
from kaiwa.server.ids import new_id
from kaiwa.server.settings import Settings
from kaiwa.tools.agent import Agent
from kaiwa.transports.websocket import WebSocketTransport

log = logging.getLogger("kaiwa.server")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An `error` event and the close code that follows it. Source: reference A1."""

    code: str
    message: str
    close_code: int
    type: str = "invalid_request_error"


BAD_KEY = Refusal("invalid_api_key", "Incorrect API key provided.", 3000)
BAD_ORIGIN = Refusal(
    "insufficient_permissions", "This origin may not connect. Add it to KAIWA_ALLOWED_ORIGINS.", 3000
)
NO_MODEL = Refusal(
    "missing_model",
    "You must provide a model parameter, for example ws://127.0.0.1:8000/v1/realtime?model=gpt-realtime",
    4000,
)


@dataclass
class RealtimeEndpoint:
    """Serves `/v1/realtime` and `/openai/v1/realtime`."""

    settings: Settings
    directory: Directory
    answerer: Answerer
    live: int = 0

    async def __call__(self, socket: WebSocket) -> None:
        await socket.accept(subprotocol="realtime" if subprotocols(socket) else None)
        answer = self._admit(socket)
        if isinstance(answer, Refusal):
            await self._refuse(socket, answer)
            return
        self.live += 1
        try:
            await self._converse(socket, answer)
        finally:
            self.live -= 1

    def _admit(self, socket: WebSocket) -> Admitted | Refusal:
        if not key_fits(self.settings.api_key, offered_keys(socket)):
            return BAD_KEY
        if not origin_fits(socket, self.settings.allowed_origins):
            return BAD_ORIGIN
        model = socket.query_params.get("model")
        if not model:
            return NO_MODEL
        agent = self.directory.find(model)
        if agent is None:
            known = ", ".join(self.directory.names)
            return Refusal(
                "model_not_found", f"The model '{model[:64]}' does not exist. Known: {known}.", 4004
            )
        if self.live >= self.settings.max_sessions:
            text = (
                f"All {self.settings.max_sessions} sessions are in use. Try again later (KAIWA_MAX_SESSIONS)."
            )
            return Refusal("server_busy", text, 1013, "server_error")
        return Admitted(agent=agent, dialect="ga", config=self._config(agent, model))

    async def _refuse(self, socket: WebSocket, refusal: Refusal) -> None:
        detail = server.ErrorDetail(
            type=refusal.type, code=refusal.code, message=refusal.message, param=None, event_id=None
        )
        event = server.Failed(event_id=new_id("event"), error=detail)
        try:
            await socket.send_text(codec_for("ga").encode_server(event))
            await socket.close(refusal.close_code, f"{refusal.type}.{refusal.code}")
        except (WebSocketDisconnect, RuntimeError):
            log.info("refused peer was gone already")

    async def _converse(self, socket: WebSocket, admitted: Admitted) -> None:
        began = time.monotonic()
        session_id = admitted.config.id
        log.info("session opened", extra={"session_id": session_id})
        parts = await self.answerer.open(admitted)
        transport = WebSocketTransport(socket, parts.codec)
        reason = await converse(parts.session, transport, parts.engine, parts.tools)
        elapsed_ms = round((time.monotonic() - began) * 1000)
        log.info(
            "session closed", extra={"session_id": session_id, "reason": reason, "elapsed_ms": elapsed_ms}
        )

    def _config(self, agent: Agent, model: str) -> SessionConfig:
        output = AudioOutput(voice=agent.voice) if agent.voice else AudioOutput()
        return SessionConfig(
            id=new_id("sess"),
            model=model,
            instructions=agent.instructions,
            expires_at=int(time.time() + self.settings.session_minutes * 60),
            audio=SessionAudio(output=output),
        )
