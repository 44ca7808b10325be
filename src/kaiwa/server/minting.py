"""Minting ephemeral keys over HTTP: the session they open is checked and put together here.

Source: reference A2. A session is read by the codec of its dialect, as if it were the client's first
`session.update`; so both doors know the same settings and find the same faults.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, structs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.errors import PeerError
from kaiwa.events import client, server
from kaiwa.events.config import SessionConfig, SessionUpdate
from kaiwa.events.value import Value
from kaiwa.policy.caller import Caller
from kaiwa.protocol.realtime.dialects import Dialect, codec_for
from kaiwa.server.admission import Admission
from kaiwa.server.bodies import fitted, read_json
from kaiwa.server.failures import full
from kaiwa.session.mcp_rules import shown
from kaiwa.session.settings import updated

USUAL_MODEL = "gpt-realtime"
USUAL_S, PREVIEW_S = 600, 60


class Expiry(Value, kw_only=True):
    """When the key ends, counted from now."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7200)] = USUAL_S


class Wanted(Value, kw_only=True):
    """What `client_secrets` is asked for."""

    expires_after: Expiry | None = None
    session: dict[str, Any] | None = None


class WantedSecret(Value, kw_only=True):
    """How a late preview client asks for another time to live."""

    expires_after: Expiry | None = None


class _Made(NamedTuple):
    key: str
    expires_at: int
    config: SessionConfig


@dataclass(frozen=True)
class Minting:
    """Answers the requests that mint keys."""

    admission: Admission

    async def client_secret(self, request: Request) -> Response:
        """`POST …/realtime/client_secrets`."""
        wanted = fitted(await read_json(request), Wanted)
        update = SessionUpdate(type="realtime")
        if wanted.session is not None:
            update = read_session("ga", "session.update", wanted.session)
        lifetime_s = USUAL_S if wanted.expires_after is None else wanted.expires_after.seconds
        minted = await self._mint(update, lifetime_s, request.state.caller)
        if minted is None:
            return too_many_keys()
        session = _shown("ga", minted.config)
        return JSONResponse({"value": minted.key, "expires_at": minted.expires_at, "session": session})

    async def preview_session(self, request: Request) -> Response:
        """`POST …/realtime/sessions` of the preview: a flat session that carries its secret."""
        return await self._preview(request, await read_json(request), "session.update")

    async def preview_transcription(self, request: Request) -> Response:
        """`POST …/realtime/transcription_sessions` of the preview."""
        return await self._preview(request, await read_json(request), "transcription_session.update")

    async def _preview(self, request: Request, body: dict[str, Any], event: str) -> Response:
        lifetime_s = PREVIEW_S
        if (given := body.pop("client_secret", None)) is not None:
            secret = fitted(given, WantedSecret, "client_secret")
            lifetime_s = PREVIEW_S if secret.expires_after is None else secret.expires_after.seconds
        try:
            update = read_session("preview", event, body)
            minted = await self._mint(update, lifetime_s, request.state.caller)
        except PeerError as error:
            raise _flat(error) from None
        if minted is None:
            return too_many_keys()
        secret = {"value": minted.key, "expires_at": minted.expires_at}
        return JSONResponse({**_shown("preview", minted.config), "client_secret": secret})

    async def _mint(self, update: SessionUpdate, lifetime_s: int, caller: Caller) -> _Made | None:
        config = structs.replace(self.begun(update, caller), expires_at=0)
        minted = self.admission.keys.mint(config, lifetime_s, caller)
        if minted is None:
            return None
        await self.admission.doors.shared.share(*minted)
        return _Made(minted[0], minted[1].expires_at, config)

    def begun(self, update: SessionUpdate, caller: Caller) -> SessionConfig:
        """Return the session that begins with these settings."""
        if update.type == "transcription":
            return updated(self.admission.first_transcription(), update, voice_locked=False)
        model = update.model or USUAL_MODEL
        agent = self.admission.directory.find(model)
        if agent is None or not caller.may_use(model):
            text = f"The model '{model[:64]}' does not exist."
            raise PeerError("model_not_found", text, param="session.model")
        return updated(self.admission.first_session(agent, model), update, voice_locked=False)


def read_session(dialect: Dialect, event: str, session: Any) -> SessionUpdate:
    """Return the settings that a session asks for. Raises PeerError with the path where it is wrong."""
    frame = msgspec.json.encode({"type": event, "session": session})
    read = codec_for(dialect).decode_client(frame)
    if isinstance(read, client.FrameRejected):
        raise PeerError(read.code, read.message, param=read.param, type=read.error_type)
    assert isinstance(read, client.SettingsChanged), "a session update is read as one"
    return read.session


def _shown(dialect: Dialect, config: SessionConfig) -> dict[str, Any]:
    """Return the session as a client of the dialect sees it."""
    told = codec_for(dialect).encode_server(server.SessionCreated(event_id="", session=shown(config)))
    return json.loads(told)["session"]


def _flat(error: PeerError) -> PeerError:
    """Name the fault as the flat body does, which is the session itself."""
    param = error.param.removeprefix("session.") if error.param else None
    message = error.message.replace("'session.", "'")
    return PeerError(error.code, message, param=None if param == "session" else param, type=error.type)


def too_many_keys() -> Response:
    text = "Too many ephemeral keys are alive. Try again when some have expired."
    return full(text)
