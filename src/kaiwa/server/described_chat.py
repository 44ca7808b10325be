"""What text conversations and the streaming relay take and give, for `/openapi.json`. Knows shapes only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kaiwa.server.chat_stream import ChatStreamRequest
from kaiwa.server.operations import ANYTHING, EVENT, EVENTS, JSON, TEXT, Operation, Query

_STREAM: Final[Mapping[int, Any]] = {200: {EVENTS: EVENT}}
_LAST: Final = Query("Last-Event-ID", "The id of the last event that was read", dict(TEXT), place="header")
_GROUP: Final = "text"

ASK: Final = Operation(
    "Ask an agent in text, and stream its answer",
    _GROUP,
    _STREAM,
    (400, 404, 413, 429, 503),
    takes={JSON: ChatStreamRequest},
)
TAKE_UP: Final = Operation(
    "Read on an answer behind the last event that was seen", _GROUP, _STREAM, (400, 404), query=(_LAST,)
)
STOP: Final = Operation("Stop a running answer or relayed stream", _GROUP, {204: {}}, (404,))
READ_ON: Final = Operation(
    "Read on a relayed stream behind the last event", "relay", _STREAM, (404,), query=(_LAST,)
)

_OPEN: Final[Mapping[str, Any]] = {"type": "object"}
_REFUSALS: Final = (400, 401, 403, 404, 413, 422, 429, 500, 502, 503)
COMPLETIONS: Final = Operation(
    "Complete a chat, as the service does",
    "relay",
    {200: {JSON: ANYTHING, EVENTS: EVENT}},
    _REFUSALS,
    takes={JSON: {**_OPEN, "required": ["messages"]}},
    about="Relayed to a deployment of KAIWA_UPSTREAMS as it is; without one, the embedded model answers.",
)
RESPONSES: Final = Operation(
    "Create a response, as the service does",
    "relay",
    {200: {JSON: ANYTHING, EVENTS: EVENT}},
    _REFUSALS,
    takes={JSON: {**_OPEN, "required": ["input"]}},
)
EMBEDDINGS: Final = Operation(
    "Embed texts, as the service does",
    "relay",
    {200: {JSON: ANYTHING}},
    _REFUSALS,
    takes={JSON: {**_OPEN, "required": ["input"]}},
)
