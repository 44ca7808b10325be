"""The stand-in's responses and embeddings: the same doors, scripts and faults as its chat completions.

Knows these two APIs' addresses and how the script's pieces become their answers.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kaiwa.protocol import sse
from kaiwa.protocol.chat import responses
from kaiwa.protocol.chat.answers import usage_of
from kaiwa.protocol.chat.embeddings import embedding_list
from kaiwa.testing.service.chat import BASES, ChatVisit, enter_chat, perform, refuse
from kaiwa.testing.service.chat_pieces import Cut, Piece, cut
from kaiwa.testing.service.chat_playback import Told
from kaiwa.testing.service.chat_requests import Asked, asked_of_responses
from kaiwa.testing.service.state import Service

_DIMENSIONS: Final = 256
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_NO_CUT: Final = Cut([], "stop")
_encoder: Final = msgspec.json.Encoder()


def response_routes(service: Service) -> Sequence[BaseRoute]:
    async def respond(connection: Request) -> Response:
        visit = await enter_chat(service, connection, service.chat_models)
        if isinstance(visit, Response):
            return visit
        try:
            asked = asked_of_responses(visit.body)
        except ValueError as wrong:
            return refuse(service, visit.request, 400, message=str(wrong))
        made = cut(asked.answers(service.script), service.habits, asked.limit)
        return perform(service, connection, visit, made, _told(service, visit, asked, made))

    async def embed(connection: Request) -> Response:
        visit = await enter_chat(service, connection, service.embedding_models)
        if isinstance(visit, Response):
            return visit
        texts: Any = visit.body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not texts:
            return refuse(service, visit.request, 400, message="'input' must be a text or a list of texts.")
        told = [Told("body", _embedded(visit, [str(text) for text in cast(list[Any], texts)]), piece=True)]
        return perform(service, connection, visit, _NO_CUT, told)

    return [
        *(Route(f"{base}/responses", respond, methods=["POST"]) for base in ("/v1", "/openai/v1", "/openai")),
        *(Route(f"{base}/embeddings", embed, methods=["POST"]) for base in BASES),
    ]


def _told(service: Service, visit: ChatVisit, asked: Asked, made: Cut) -> list[Told]:
    echoed = responses.Asked(
        instructions=visit.body.get("instructions"),
        max_output_tokens=asked.limit,
        tools=visit.body.get("tools") or [],
        tool_choice=visit.body.get("tool_choice") or "auto",
        metadata=visit.body.get("metadata") or {},
    )
    writer = responses.ResponseWriter(
        service.new_id("resp"), visit.model, int(time.time()), echoed, service.new_id
    )
    told = list(_events(service, writer, asked, made))
    if asked.stream:
        return told
    pause_s = sum(piece.pause_s for piece in made.pieces)
    return [Told("body", _encoder.encode(writer.response), pause_s, piece=True)]


def _events(service: Service, writer: responses.ResponseWriter, asked: Asked, made: Cut) -> Iterator[Told]:
    yield from _as_told(writer.begin())
    for piece in made.pieces:
        yield from _as_told(_written(service, writer, piece), piece)
    if made.failure is None:
        usage = usage_of(asked.read_tokens, len(made.pieces))
        yield from _as_told(writer.end(usage, incomplete=_INCOMPLETE.get(made.finish)))


def _written(
    service: Service, writer: responses.ResponseWriter, piece: Piece
) -> Iterator[responses.ResponseEvent]:
    if piece.name is not None:
        return writer.call(service.new_id("call"), piece.name)
    return writer.text(piece.text) if piece.call is None else writer.arguments(piece.text)


def _as_told(events: Iterable[responses.ResponseEvent], piece: Piece | None = None) -> Iterator[Told]:
    """The pause of a piece is before the first of the events that it makes."""
    pause_s = 0.0 if piece is None else piece.pause_s
    for event in events:
        data = sse.event(_encoder.encode(event).decode(), name=event.type)
        yield Told(event.type, data, pause_s, piece=event.type.endswith(".delta"))
        pause_s = 0.0


def _embedded(visit: ChatVisit, texts: list[str]) -> bytes:
    size = visit.body.get("dimensions") or _DIMENSIONS
    vectors = [_vector(text, size) for text in texts]
    encoding = "base64" if visit.body.get("encoding_format") == "base64" else "float"
    tokens = sum(len(text.split()) for text in texts)
    return _encoder.encode(embedding_list(vectors, visit.model, tokens, encoding))


def _vector(text: str, size: int) -> list[float]:
    """Return numbers that are the same for the same text, of length one; they mean nothing."""
    raw = hashlib.shake_128(text.encode()).digest(size)
    centred = [value - 127.5 for value in raw]
    length = math.sqrt(sum(value * value for value in centred))
    return [value / length for value in centred]
