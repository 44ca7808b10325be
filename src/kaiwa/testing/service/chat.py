"""The stand-in's chat completions, on Azure's and OpenAI's addresses: who is let in, what is played to them.

Knows addresses, keys, api-versions, deployments and faults; what is said is the script's, how it looks the
telling's, and how it is written the wire's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kaiwa.testing.service.chat_errors import error_in_stream, filtered_prompt
from kaiwa.testing.service.chat_events import ChatTelling
from kaiwa.testing.service.chat_pieces import Cut, cut
from kaiwa.testing.service.chat_playback import Playback, Told, before_the_head, play
from kaiwa.testing.service.chat_records import RecordedStream
from kaiwa.testing.service.chat_requests import Asked, asked_in_chat, read_object
from kaiwa.testing.service.chat_wire import Played, wire_of
from kaiwa.testing.service.faults import Faults
from kaiwa.testing.service.flavours import Flavour
from kaiwa.testing.service.records import RecordedRequest
from kaiwa.testing.service.state import FAULTS_HEADER, Service

CLASSIC: Final = "/openai/deployments/{deployment}"
BASES: Final = ("/v1", "/openai/v1", CLASSIC)
_DATED: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
# Older versions refuse to tell the usage of a stream.
_TELLS_USAGE: Final = "2024-09-01"


@dataclass(frozen=True, slots=True)
class ChatVisit:
    """A request that was let in, and what it met."""

    request: RecordedRequest
    flavour: Flavour
    name: str
    model: str
    body: dict[str, Any]
    faults: Faults


def chat_routes(service: Service) -> Sequence[BaseRoute]:
    async def complete(connection: Request) -> Response:
        visit = await enter_chat(service, connection, service.chat_models)
        if isinstance(visit, Response):
            return visit
        try:
            asked = asked_in_chat(visit.body)
        except ValueError as wrong:
            return refuse(service, visit.request, 400, message=str(wrong))
        if visit.body.get("stream_options") and _is_old(visit.request):
            text = "Unrecognized request argument supplied: stream_options"
            return refuse(service, visit.request, 400, message=text)
        made = cut(asked.answers(service.script), service.habits, asked.limit)
        return perform(service, connection, visit, made, _told(service, visit, asked, made))

    return [Route(f"{base}/chat/completions", complete, methods=["POST"]) for base in BASES]


def _told(service: Service, visit: ChatVisit, asked: Asked, made: Cut) -> list[Told]:
    telling = ChatTelling(
        asked,
        made,
        flavour=visit.flavour,
        model=visit.model,
        answer_id=service.new_id("chatcmpl").replace("_", "-"),
        call_ids=[service.new_id("call") for piece in made.pieces if piece.name is not None],
        created=int(time.time()),
    )
    if asked.stream:
        return list(telling.streamed(asynchronous_filter=service.habits.asynchronous_filter))
    return telling.whole()


# --- what every answer of a model goes through ---------------------------------------------------------


async def enter_chat(
    service: Service, connection: Request, models: Mapping[str, str]
) -> ChatVisit | Response:
    """Record the request, let the faults strike, check path, version, key and name; else give the refusal."""
    request = service.records.note(connection)
    request.body = (await connection.body()).decode("utf-8", "replace")
    try:
        body = read_object(request.body)
        named, own = service.own_faults(
            connection.path_params.get("deployment") or str(body.get("model") or "")
        )
    except ValueError as wrong:
        return refuse(service, request, 400, message=str(wrong))
    service.chat.requests[named] += 1
    faults = (
        own if own is not None and FAULTS_HEADER not in connection.headers else service.faults_of(request)
    )
    flavour = service.plays(request.path)
    if faults.connect_delay_s:
        await service.pause(faults.connect_delay_s)
    broken = before_the_head(faults)
    if broken is not None:
        return _played(service, connection, request, named, broken)
    if faults.http_status is not None:
        return refuse(service, request, faults.http_status, faults=faults, filtered=faults.http_status == 400)
    if flavour is None or (unfit := _unfit_version(request)) == 404:
        return refuse(service, request, 404, code="404", message="Resource not found")
    if unfit is not None:
        return refuse(service, request, unfit, code="BadRequest", message="API version not supported")
    if not service.lets_in(flavour, connection):
        return refuse(service, request, 401)
    if named not in models:
        return refuse(service, request, 404)
    return ChatVisit(request, flavour, named, models[named], body, faults)


def perform(service: Service, connection: Request, visit: ChatVisit, made: Cut, told: list[Told]) -> Response:
    """Play what is told, with the script's own failure at its place."""
    failure = made.failure
    if failure is not None and len(told) == 1:
        return refuse(service, visit.request, 500, code=failure.code, message=failure.message)
    code, message = (
        ("server_error", "The model had an error.") if failure is None else (failure.code, failure.message)
    )
    error = error_in_stream(code, message)
    if failure is not None:
        told.append(Told("error", error))
    kind = "text/event-stream; charset=utf-8" if len(told) > 1 else "application/json"
    headers = [("content-type", kind), *answer_headers(service, visit.request).items()]
    visit.request.status = 200
    return _played(service, connection, visit.request, visit.name, play(told, headers, error, visit.faults))


def _played(
    service: Service, connection: Request, request: RecordedRequest, name: str, playback: Playback
) -> Played:
    stream = service.chat.begin(request, name)
    return Played(wire_of(connection), playback, _count(stream), lambda end: service.chat.finish(stream, end))


def _count(stream: RecordedStream) -> Callable[[int], None]:
    def wrote(pieces: int) -> None:
        stream.pieces += pieces

    return wrote


def refuse(
    service: Service,
    request: RecordedRequest,
    status: int,
    *,
    faults: Faults | None = None,
    filtered: bool = False,
    **error: str,
) -> Response:
    answer = service.refuse(request, status, faults=faults, **error)
    if filtered:
        answer = JSONResponse(filtered_prompt(service.plays(request.path) or "azure"), status)
    answer.headers.update(answer_headers(service, request))
    return answer


def answer_headers(service: Service, request: RecordedRequest) -> dict[str, str]:
    """Return what the service tells about the request and about its limits."""
    habits, azure = service.habits, request.path.startswith("/openai/")
    headers = {"x-request-id": f"{request.number:08x}-0000-4000-8000-000000000000"}
    if azure:
        headers |= {"apim-request-id": headers["x-request-id"], "x-ms-region": "Stand In"}
    if habits.utilization is not None:
        headers["azure-openai-deployment-utilization"] = f"{habits.utilization:g}%"
    for kind, limit, left in (
        ("requests", habits.limit_requests, habits.remaining_requests),
        ("tokens", habits.limit_tokens, habits.remaining_tokens),
    ):
        if left is not None:
            headers |= {f"x-ratelimit-limit-{kind}": str(limit), f"x-ratelimit-remaining-{kind}": str(left)}
    return headers


def _unfit_version(request: RecordedRequest) -> int | None:
    """Return how Azure refuses this api-version: its older addresses want a date, the newer ones none."""
    version = dict(request.query).get("api-version")
    if request.path.startswith("/openai/") and not request.path.startswith("/openai/v1/"):
        return None if version is not None and _DATED.fullmatch(version) else 404
    return None if version in (None, "preview", "latest", "v1") else 400


def _is_old(request: RecordedRequest) -> bool:
    return (dict(request.query).get("api-version") or _TELLS_USAGE) < _TELLS_USAGE
