"""The Realtime WebSocket of the stand-in, both flavours and all dialects.

Knows how each service refuses; the conversation itself is kaiwa's own host session over the scripted engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast

from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.events import server
from kaiwa.events.config import SessionConfig
from kaiwa.events.server import RateLimit
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSpec
from kaiwa.protocol.realtime.dialects import Dialect, codec_for, dialect_of
from kaiwa.runner import converse
from kaiwa.session.host import HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.faults import REFUSALS, Faults
from kaiwa.testing.service.flavours import AzureCodec, Flavour
from kaiwa.testing.service.front_door import SESSION_S, Refused, admit
from kaiwa.testing.service.records import RecordedRequest, RecordedSession
from kaiwa.testing.service.state import Service, StandInCall
from kaiwa.testing.service.transport import ServiceTransport
from kaiwa.transports.websocket import Codec

_TOKENS = RateLimit(name="tokens", limit=15_000_000, remaining=14_999_000, reset_seconds=0.0)
_OTHER_REFUSAL = 4000


def realtime_routes(service: Service) -> Sequence[BaseRoute]:
    async def connect(socket: WebSocket) -> None:
        request = service.records.note(socket)
        flavour, answer = service.plays(request.path), await service.struck(request)
        if answer is not None or flavour is None:
            await _deny(socket, answer or service.refuse(request, 404))
            return
        offered = cast(list[str], socket.scope.get("subprotocols", []))
        dialect = dialect_of(request.path, socket.query_params, socket.headers, offered)
        call = service.calls.get(socket.query_params.get("call_id", ""))
        if call is not None and service.knows_key(flavour, socket):
            await socket.accept(subprotocol="realtime" if offered else None)
            request.status = 101
            await _attach(service, socket, _codec(flavour, dialect), request, call)
            return
        admitted = admit(service, flavour, dialect, socket)
        if isinstance(admitted, Refused) and flavour == "azure":
            await _deny(socket, service.refuse(request, admitted.status, message=admitted.message))
            return
        if isinstance(admitted, SessionConfig) and (code := service.faults_of(request).refuse):
            admitted = Refused(code, "The stand-in was told to refuse.", 0)
        await socket.accept(subprotocol="realtime" if offered else None)
        request.status = 101
        codec = _codec(flavour, dialect)
        if isinstance(admitted, Refused):
            await _refuse(service, socket, codec, admitted)
        else:
            await _converse(service, socket, codec, request, admitted)

    paths = ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime")
    return [WebSocketRoute(path, connect) for path in paths]


def _codec(flavour: Flavour, dialect: Dialect) -> Codec:
    codec = codec_for(dialect)
    return AzureCodec(codec) if flavour == "azure" and dialect == "ga" else codec


async def _converse(
    service: Service, socket: WebSocket, codec: Codec, request: RecordedRequest, config: SessionConfig
) -> None:
    def faults() -> Faults:
        return service.faults_of(request)

    record = RecordedSession(request)
    service.records.sessions.append(record)
    transport = ServiceTransport(
        socket, codec, record, faults=faults, new_id=service.new_id, stopping=service.stopping
    )
    session = HostSession(config, ids=service.new_id, policy=policy_of(faults()), now=time.monotonic())
    try:
        await converse(session, transport, ServiceEngine(service.script, faults), NoTools())
    finally:
        record.ended.set()


async def _attach(
    service: Service, socket: WebSocket, codec: Codec, request: RecordedRequest, call: StandInCall
) -> None:
    """Serve an observer of a call until either ends."""
    record = RecordedSession(request)
    service.records.sessions.append(record)
    transport = ServiceTransport(
        socket,
        codec,
        record,
        faults=lambda: service.faults_of(request),
        new_id=service.new_id,
        stopping=service.stopping,
    )
    try:
        await call.shared.join(transport)
    finally:
        record.ended.set()


def policy_of(faults: Faults) -> HostPolicy:
    """The service treats a listener's small words as speech, and tells its limits."""
    lifetime_s = SESSION_S if faults.expire_after_s is None else faults.expire_after_s
    return HostPolicy(lifetime_s=lifetime_s, rate_limits=(_TOKENS,), backchannels=())


class NoTools:
    """The stand-in runs no tools; calls are its client's."""

    specs: Sequence[ToolSpec] = ()

    async def run(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> None:
        raise AssertionError("a service without tools of its own was asked to run one")


async def _refuse(service: Service, socket: WebSocket, codec: Codec, refused: Refused) -> None:
    kind = "invalid_request_error"
    detail = server.ErrorDetail(
        type=kind, code=refused.code, message=refused.message, param=None, event_id=None
    )
    event = server.Failed(event_id=service.new_id("event"), error=detail)
    try:
        await socket.send_text(codec.encode_server(event))
        await socket.close(REFUSALS.get(refused.code, _OTHER_REFUSAL), f"{kind}.{refused.code}")
    except (WebSocketDisconnect, RuntimeError):
        return  # it did not wait for its refusal


async def _deny(socket: WebSocket, answer: Response) -> None:
    try:
        await socket.send_denial_response(answer)
    except (WebSocketDisconnect, RuntimeError):
        return  # it did not wait for its refusal
