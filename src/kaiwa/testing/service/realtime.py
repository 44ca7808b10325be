"""The Realtime service of the stand-in: the WebSocket of both flavours, ephemeral keys and models.

Knows how each service refuses; the conversation itself is kaiwa's own host session over the scripted engine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.errors import PeerError
from kaiwa.events import client, server
from kaiwa.events.config import SessionConfig
from kaiwa.events.server import RateLimit
from kaiwa.events.tools import ToolCall, ToolSpec
from kaiwa.protocol.realtime.dialects import codec_for
from kaiwa.runner import converse
from kaiwa.session.host import HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.session.settings import updated
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.faults import REFUSALS, split_model
from kaiwa.testing.service.flavours import AzureCodec, Flavour, offered_keys
from kaiwa.testing.service.records import RecordedRequest, RecordedSession
from kaiwa.testing.service.state import EphemeralKey, Service
from kaiwa.testing.service.transport import ServiceTransport
from kaiwa.transports.websocket import Codec

SESSION_S = 3600
KEY_S, MIN_KEY_S, MAX_KEY_S = 600, 10, 7200
INSTRUCTIONS = "You are a stand-in. Answer as your script says."
_TOKENS = RateLimit(name="tokens", limit=15_000_000, remaining=14_999_000, reset_seconds=0.0)
_BETA_HEADER = "realtime=v1"


def realtime_routes(service: Service) -> Sequence[BaseRoute]:
    door = _RealtimeDoor(service)
    return [
        WebSocketRoute("/v1/realtime", door.connect),
        WebSocketRoute("/openai/v1/realtime", door.connect),
        Route("/v1/realtime/client_secrets", door.mint_key, methods=["POST"]),
        Route("/openai/v1/realtime/client_secrets", door.mint_key, methods=["POST"]),
        Route("/v1/models", door.list_models),
        Route("/openai/v1/models", door.list_models),
    ]


@dataclass(frozen=True, slots=True)
class Refused:
    """`status` is Azure's answer before the upgrade; `code` closes OpenAI's open WebSocket."""

    code: str
    message: str
    status: int


class NoTools:
    """The stand-in runs no tools; calls are the client's."""

    specs: Sequence[ToolSpec] = ()

    async def run(self, call: ToolCall, report: Any) -> None:
        raise AssertionError("a service without tools of its own was asked to run one")


class _RealtimeDoor:
    def __init__(self, service: Service) -> None:
        self._service = service

    # --- the WebSocket --------------------------------------------------------------------------

    async def connect(self, socket: WebSocket) -> None:
        service, request = self._service, self._service.records.note(socket)
        answer = await service.struck(request)
        flavour = service.plays(request.path)
        if flavour is None:
            answer = answer or service.refuse(request, 404)
        if answer is not None or flavour is None:
            await _deny(socket, cast(Response, answer))
            return
        admitted = self._admit(flavour, socket)
        if isinstance(admitted, Refused) and flavour == "azure":
            await _deny(socket, service.refuse(request, admitted.status, message=admitted.message))
            return
        offered = cast(list[str], socket.scope.get("subprotocols", []))
        request.status = 101
        await socket.accept(subprotocol="realtime" if offered else None)
        codec = self._codec(flavour)
        if isinstance(admitted, SessionConfig) and (code := service.faults_of(request).refuse):
            admitted = Refused(code, "The stand-in was told to refuse.", 0)
        if isinstance(admitted, Refused):
            await self._refuse(socket, codec, admitted)
        else:
            await self._converse(socket, codec, request, admitted)

    def _codec(self, flavour: Flavour) -> Codec:
        codec = codec_for("ga")
        return AzureCodec(codec) if flavour == "azure" else codec

    def _admit(self, flavour: Flavour, socket: WebSocket) -> SessionConfig | Refused:
        service = self._service
        if not service.knows_key(flavour, socket, ephemeral=True):
            return Refused("invalid_api_key", "Incorrect API key provided.", 401)
        if flavour == "azure" and "api-version" in socket.query_params:
            return Refused("invalid_api_version", "This path takes no api-version.", 401)
        if flavour == "openai" and socket.headers.get("openai-beta", "").lower() == _BETA_HEADER:
            return Refused("beta_api_shape_disabled", "The beta shape of this API is switched off.", 400)
        minted = service.ephemeral_of(offered_keys(flavour, socket))
        named = socket.query_params.get("model") or (minted.config.model if minted else "")
        return self._session(flavour, named, minted)

    def _session(self, flavour: Flavour, named: str, minted: EphemeralKey | None) -> SessionConfig | Refused:
        if not named:
            return Refused("missing_model", "You must provide a model parameter.", 400)
        try:
            name, _ = split_model(named)
        except ValueError as wrong:
            return Refused("invalid_model", f"The faults in the model's name cannot be read: {wrong}", 400)
        known = self._service.deployments if flavour == "azure" else self._service.models
        if name not in known:
            return Refused("model_not_found", f"There is no model or deployment '{name[:64]}' here.", 404)
        begun = minted.config if minted else SessionConfig(instructions=INSTRUCTIONS)
        return msgspec.structs.replace(
            begun,
            id=self._service.new_id("sess"),
            model=known[name],
            expires_at=int(time.time()) + SESSION_S,
        )

    async def _refuse(self, socket: WebSocket, codec: Codec, refused: Refused) -> None:
        kind = "invalid_request_error"
        detail = server.ErrorDetail(
            type=kind, code=refused.code, message=refused.message, param=None, event_id=None
        )
        event = server.Failed(event_id=self._service.new_id("event"), error=detail)
        try:
            await socket.send_text(codec.encode_server(event))
            await socket.close(REFUSALS.get(refused.code, 4000), f"{kind}.{refused.code}")
        except (WebSocketDisconnect, RuntimeError):
            return  # it did not wait for its refusal

    async def _converse(
        self, socket: WebSocket, codec: Codec, request: RecordedRequest, config: SessionConfig
    ) -> None:
        service, record = self._service, RecordedSession(request)
        service.records.sessions.append(record)

        def faults():
            return service.faults_of(request)

        transport = ServiceTransport(
            socket, codec, record, faults=faults, new_id=service.new_id, stopping=service.stopping
        )
        expire_after_s = faults().expire_after_s
        policy = HostPolicy(
            lifetime_s=SESSION_S if expire_after_s is None else expire_after_s,
            rate_limits=(_TOKENS,),
            backchannels=(),
        )
        session = HostSession(config, ids=service.new_id, policy=policy, now=time.monotonic())
        try:
            await converse(session, transport, ServiceEngine(service.script, faults), NoTools())
        finally:
            record.ended.set()

    # --- plain requests -------------------------------------------------------------------------

    async def _enter(self, connection: Request) -> tuple[RecordedRequest, Flavour | None, Response | None]:
        service = self._service
        request = service.records.note(connection)
        request.body = (await connection.body()).decode("utf-8", "replace")
        answer, flavour = await service.struck(request), service.plays(request.path)
        if answer is None and flavour is None:
            answer = service.refuse(request, 404)
        elif answer is None and flavour is not None and not service.knows_key(flavour, connection):
            answer = service.refuse(request, 401)
        return request, flavour, answer

    async def list_models(self, connection: Request) -> Response:
        request, flavour, refusal = await self._enter(connection)
        if refusal is not None:
            return refusal
        names = self._service.deployments if flavour == "azure" else self._service.models
        entries = [{"id": name, "object": "model", "created": 0, "owned_by": "stand-in"} for name in names]
        request.status = 200
        return JSONResponse({"object": "list", "data": entries})

    async def mint_key(self, connection: Request) -> Response:
        """Make an ephemeral key. Source: reference A2."""
        request, flavour, refusal = await self._enter(connection)
        if refusal is not None or flavour is None:
            return cast(Response, refusal)
        try:
            seconds, config = self._wanted_key(flavour, request.body)
        except PeerError as wrong:
            return self._service.refuse(request, 400, code=wrong.code, message=str(wrong))
        value, expires_at = self._service.new_id.ephemeral_key(), int(time.time()) + seconds
        self._service.ephemeral[value] = EphemeralKey(expires_at, config)
        request.status = 200
        shown = msgspec.to_builtins(config)
        return JSONResponse({"value": value, "expires_at": expires_at, "session": shown})

    def _wanted_key(self, flavour: Flavour, body: str) -> tuple[int, SessionConfig]:
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
        frame = msgspec.json.encode({"type": "session.update", "session": session})
        event = codec_for("ga").decode_client(frame)
        if isinstance(event, client.FrameRejected):
            raise PeerError(event.code, event.message, param=event.param)
        assert isinstance(event, client.SettingsChanged), "a session.update decodes to nothing else"
        named = event.session.model if isinstance(event.session.model, str) else "gpt-realtime"
        begun = self._session(flavour, named, None)
        if isinstance(begun, Refused):
            raise PeerError(begun.code, begun.message)
        return seconds, updated(begun, event.session, voice_locked=False)


async def _deny(socket: WebSocket, answer: Response) -> None:
    try:
        await socket.send_denial_response(answer)
    except (WebSocketDisconnect, RuntimeError):
        return  # it did not wait for its refusal
