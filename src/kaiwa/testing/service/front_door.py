"""Who may come in: plain HTTP requests of every room, and the session a WebSocket begins with.

Knows keys, paths, models and ephemeral keys; does not answer anything itself but refusals.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from kaiwa.events.config import AudioInput, SessionAudio, SessionConfig, Transcription
from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.testing.service.faults import split_model
from kaiwa.testing.service.flavours import Flavour, offered_keys
from kaiwa.testing.service.records import RecordedRequest
from kaiwa.testing.service.state import EphemeralKey, Service

SESSION_S = 3600
TRANSCRIBER = "gpt-4o-mini-transcribe"
INSTRUCTIONS = "You are a stand-in. Answer as your script says."


@dataclass(frozen=True, slots=True)
class Refused:
    """`status` is Azure's answer before the upgrade; `code` decides how OpenAI closes the WebSocket."""

    code: str
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Visit:
    """A plain request that was let in."""

    request: RecordedRequest
    flavour: Flavour


async def enter(service: Service, connection: Request) -> Visit | Response:
    """Record a plain HTTP request, let the faults strike, check path and key; else give the refusal."""
    request = service.records.note(connection)
    request.body = (await connection.body()).decode("utf-8", "replace")
    struck, flavour = await service.struck(request), service.plays(request.path)
    if struck is not None:
        return struck
    if flavour is None:
        return service.refuse(request, 404)
    if not service.knows_key(flavour, connection):
        return service.refuse(request, 401)
    request.status = 200
    return Visit(request, flavour)


def admit(
    service: Service, flavour: Flavour, dialect: Dialect, connection: HTTPConnection
) -> SessionConfig | Refused:
    """Return the session that an upgrade request asks for."""
    if not service.knows_key(flavour, connection, ephemeral=True):
        return Refused("invalid_api_key", "Incorrect API key provided.", 401)
    query = connection.query_params
    if flavour == "openai" and dialect != "ga":
        return Refused("beta_api_shape_disabled", "The beta shape of this API is switched off.", 400)
    if flavour == "azure" and (dialect == "ga") == ("api-version" in query):
        return Refused("invalid_api_version", "This path and this api-version do not belong together.", 401)
    minted = service.ephemeral_of(offered_keys(flavour, connection))
    if query.get("intent") == "transcription":
        return _transcription(service)
    named = query.get("deployment" if flavour == "azure" and dialect != "ga" else "model", "")
    return begin(service, flavour, named or (minted.config.model if minted else ""), minted)


def _transcription(service: Service) -> SessionConfig:
    """A session that only writes down; it names no model."""
    return SessionConfig(
        type="transcription",
        object="realtime.transcription_session",
        id=service.new_id("sess"),
        expires_at=int(time.time()) + SESSION_S,
        audio=SessionAudio(input=AudioInput(transcription=Transcription(model=TRANSCRIBER))),
    )


def begin(
    service: Service, flavour: Flavour, named: str, minted: EphemeralKey | None = None
) -> SessionConfig | Refused:
    """Return a new session with the model or deployment that was named."""
    if not named:
        return Refused("missing_model", "You must provide a model parameter.", 400)
    try:
        name, _ = split_model(named)
    except ValueError as wrong:
        return Refused("invalid_model", f"The faults in the model's name cannot be read: {wrong}", 400)
    known = service.deployments if flavour == "azure" else service.models
    if name not in known:
        return Refused("model_not_found", f"There is no model or deployment '{name[:64]}' here.", 404)
    config = minted.config if minted else SessionConfig(instructions=INSTRUCTIONS)
    expires_at = int(time.time()) + SESSION_S
    return msgspec.structs.replace(
        config, id=service.new_id("sess"), model=known[name], expires_at=expires_at
    )
