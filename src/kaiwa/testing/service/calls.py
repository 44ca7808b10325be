"""The stand-in's calls: an offer is answered on paper, and what attaches to the call meets a conversation.

No sound goes anywhere: a test that wants some dials kaiwa. Knows who is let in and what an answer looks like;
the conversation is kaiwa's own host session, as on a WebSocket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kaiwa.events import server
from kaiwa.events.config import SessionConfig
from kaiwa.runner import converse
from kaiwa.session.host import HostSession
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.faults import Faults
from kaiwa.testing.service.flavours import offered_keys
from kaiwa.testing.service.front_door import Refused, begin
from kaiwa.testing.service.realtime import NoTools, policy_of
from kaiwa.testing.service.records import RecordedRequest
from kaiwa.testing.service.state import Service, StandInCall
from kaiwa.transports.shared import SharedTransport

_TRANSPORT: Final = (
    "c=IN IP4 127.0.0.1",
    "a=ice-ufrag:standin",
    "a=ice-pwd:standinstandinstandinstandin",
    "a=fingerprint:sha-256 " + ":".join(["00"] * 32),
    "a=setup:active",
)


def call_routes(service: Service) -> Sequence[BaseRoute]:
    async def create(connection: Request) -> Response:
        request = service.records.note(connection)
        request.body = (await connection.body()).decode("utf-8", "replace")
        struck, flavour = await service.struck(request), service.plays(request.path)
        if struck is not None or flavour is None:
            return struck or service.refuse(request, 404)
        if not service.knows_key(flavour, connection, ephemeral=True):
            return service.refuse(request, 401)
        minted = service.ephemeral_of(offered_keys(flavour, connection))
        model = connection.query_params.get("model") or (minted.config.model if minted else "")
        config = begin(service, flavour, model, minted)
        if isinstance(config, Refused):
            return service.refuse(request, config.status, message=config.message)
        if not request.body.startswith("v=0"):
            return service.refuse(request, 400, message="The SDP cannot be read.")
        request.status = 201
        call_id = _begin(service, request, config)
        headers = {"location": f"/v1/realtime/calls/{call_id}"}
        return Response(answer_on_paper(request.body), 201, headers, media_type="text/plain")

    async def hang_up(connection: Request) -> Response:
        request = service.records.note(connection)
        flavour = service.plays(request.path)
        if flavour is None or not service.knows_key(flavour, connection):
            return service.refuse(request, 401)
        call = service.calls.get(connection.path_params["call_id"])
        if call is None:
            return service.refuse(request, 404)
        request.status = 200
        call.shared.hang_up()
        await call.over.wait()
        return Response()

    bases = ("/v1/realtime/calls", "/openai/v1/realtime/calls")
    return [
        *(Route(base, create, methods=["POST"]) for base in bases),
        *(Route(f"{base}/{{call_id}}/hangup", hang_up, methods=["POST"]) for base in bases),
    ]


def answer_on_paper(offer: str) -> str:
    """Return an answer with the offer's lines, at an address where nobody is."""
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    for line in offer.splitlines():
        if line.startswith("a=group:BUNDLE"):
            lines.append(line)
        elif line.startswith("m="):
            lines += [line, *_TRANSPORT]
        elif line.startswith(("a=mid:", "a=rtpmap:", "a=sctp-port:")):
            lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def _begin(service: Service, request: RecordedRequest, config: SessionConfig) -> str:
    call_id = service.new_id("rtc")
    greeting = server.SessionCreated(event_id=service.new_id("event"), session=config)
    shared = SharedTransport(None, ids=service.new_id, greeting=greeting)
    call = service.calls[call_id] = StandInCall(request, shared)
    task = asyncio.create_task(_hold(service, call_id, call, config))
    service.tasks.add(task)
    task.add_done_callback(service.tasks.discard)
    return call_id


async def _hold(service: Service, call_id: str, call: StandInCall, config: SessionConfig) -> None:
    def faults() -> Faults:
        return service.faults_of(call.request)

    session = HostSession(config, ids=service.new_id, policy=policy_of(faults()), now=time.monotonic())
    talk = asyncio.create_task(
        converse(session, call.shared, ServiceEngine(service.script, faults), NoTools())
    )
    leave = asyncio.create_task(service.stopping.wait())
    try:
        await asyncio.wait([talk, leave], return_when=asyncio.FIRST_COMPLETED)
        call.shared.hang_up()
        await talk
    finally:
        leave.cancel()
        service.calls.pop(call_id, None)
        call.shared.dismiss(reason="The call ended.")
        call.over.set()
