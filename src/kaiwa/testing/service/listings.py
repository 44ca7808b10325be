"""The plain requests of the Realtime service: ephemeral keys and the list of models. Source: reference A2."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kaiwa.errors import PeerError
from kaiwa.events import client
from kaiwa.events.config import SessionConfig
from kaiwa.protocol.realtime.dialects import codec_for
from kaiwa.session.settings import updated
from kaiwa.testing.service.flavours import Flavour
from kaiwa.testing.service.front_door import Refused, begin, enter
from kaiwa.testing.service.state import EphemeralKey, Service

KEY_S, MIN_KEY_S, MAX_KEY_S = 600, 10, 7200


def listing_routes(service: Service) -> Sequence[BaseRoute]:
    async def list_models(connection: Request) -> Response:
        visit = await enter(service, connection)
        if isinstance(visit, Response):
            return visit
        names = service.deployments if visit.flavour == "azure" else service.models
        names = [*names, *service.chat_models, *service.embedding_models]
        entries = [{"id": name, "object": "model", "created": 0, "owned_by": "stand-in"} for name in names]
        return JSONResponse({"object": "list", "data": entries})

    async def mint_key(connection: Request) -> Response:
        visit = await enter(service, connection)
        if isinstance(visit, Response):
            return visit
        try:
            seconds, config = _wanted_key(service, visit.flavour, visit.request.body)
        except PeerError as wrong:
            return service.refuse(visit.request, 400, code=wrong.code, message=str(wrong))
        value, expires_at = service.new_id.ephemeral_key(), int(time.time()) + seconds
        service.ephemeral[value] = EphemeralKey(expires_at, config)
        shown = msgspec.to_builtins(config)
        return JSONResponse({"value": value, "expires_at": expires_at, "session": shown})

    return [
        Route("/v1/models", list_models),
        Route("/openai/v1/models", list_models),
        Route("/v1/realtime/client_secrets", mint_key, methods=["POST"]),
        Route("/openai/v1/realtime/client_secrets", mint_key, methods=["POST"]),
        Route("/openai/realtime/client_secrets", mint_key, methods=["POST"]),
    ]


def _wanted_key(service: Service, flavour: Flavour, body: str) -> tuple[int, SessionConfig]:
    """Return for how long a key is wanted and for which session. Raises PeerError."""
    try:
        wanted: Any = msgspec.json.decode(body or "{}")
        expiry: dict[str, Any] = wanted.get("expires_after") or {}
        seconds = expiry.get("seconds", KEY_S)
        session = wanted.get("session") or {"type": "realtime"}
    except (msgspec.DecodeError, AttributeError) as wrong:
        raise PeerError("invalid_json", "The body is not a JSON object that can be read.") from wrong
    if not isinstance(seconds, int) or not MIN_KEY_S <= seconds <= MAX_KEY_S:
        message = f"Invalid 'expires_after.seconds': expected {MIN_KEY_S} to {MAX_KEY_S}."
        raise PeerError("invalid_value", message, param="expires_after.seconds")
    event = codec_for("ga").decode_client(msgspec.json.encode({"type": "session.update", "session": session}))
    if isinstance(event, client.FrameRejected):
        raise PeerError(event.code, event.message, param=event.param)
    assert isinstance(event, client.SettingsChanged), "a session.update decodes to nothing else"
    named = event.session.model if isinstance(event.session.model, str) else "gpt-realtime"
    begun = begin(service, flavour, named)
    if isinstance(begun, Refused):
        raise PeerError(begun.code, begun.message)
    return seconds, updated(begun, event.session, voice_locked=False)
