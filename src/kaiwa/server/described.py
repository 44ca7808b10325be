"""What the house's own requests take and give, for `/openapi.json`. Knows shapes; answers nothing.

Every value stands in the table of routes beside who answers (`server/entries.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from kaiwa.engines.speech.voices import voices
from kaiwa.events.value import Value
from kaiwa.server.operations import ANYTHING, BYTES, EVENT, EVENTS, JSON, TEXT, Operation, Query
from kaiwa.server.speaking import FORMATS
from kaiwa.server.subtitles import FORMATS as WRITTEN_FORMS


class Health(Value, kw_only=True):
    """The house lives, and how many conversations it holds."""

    status: Literal["ok"]
    sessions: Annotated[int, Meta(ge=0)]


class Model(Value, kw_only=True):
    """A name that `?model=` knows."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(Value, kw_only=True):
    object: Literal["list"]
    data: tuple[Model, ...]


class PageKey(Value, kw_only=True):
    """A key for one call, and where to take it."""

    client_secret: str
    expires_at: int
    realtimeUrl: str
    callsUrl: str
    model: str
    iceServers: tuple[dict[str, Any] | str, ...]


class Secret(Value, kw_only=True):
    """A key, its end in Unix seconds, and the session that it opens."""

    value: str
    expires_at: int
    session: dict[str, Any]


class WrittenDown(Value, kw_only=True):
    text: str


# These answer a page in a form of their own: a sentence, or the service's error object.
PLAIN_ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["message"]}]},
        "message": {"type": "string"},
    },
}
_KEY_NAME: Final = "Idempotency-Key"

HEALTH: Final = Operation(
    "Say that the house lives", "house", {200: {JSON: Health}}, keyed=False, gated=False
)
MODELS: Final = Operation("List the models", "models", {200: {JSON: Models}}, keyed=False)
MODEL: Final = Operation("Look up a model", "models", {200: {JSON: Model}}, (404,), keyed=False)

# A null is as good as nothing here, which a struct of msgspec cannot say.
_WANTED_SECRET: Final = {
    "type": "object",
    "properties": {
        "expires_after": {
            "type": ["object", "null"],
            "properties": {
                "anchor": {"enum": ["created_at", None]},
                "seconds": {"type": ["integer", "null"], "minimum": 10, "maximum": 7200},
            },
            "additionalProperties": False,
        },
        "session": {"type": ["object", "null"], "description": "As in the client's `session.update`."},
    },
    "additionalProperties": False,
}
CLIENT_SECRET: Final = Operation(
    "Mint a key for a page",
    "keys",
    {200: {JSON: Secret}},
    (400, 413, 429, 503),
    takes={JSON: _WANTED_SECRET},
    body_needed=False,
)
PREVIEW_SESSION: Final = Operation(
    "Mint a key for a page, as the preview does",
    "keys",
    {200: {JSON: {"type": "object", "required": ["client_secret"]}}},
    (400, 413, 429, 503),
    takes={JSON: {"type": "object"}},
    body_needed=False,
)


def page_session(agents: Sequence[str]) -> Operation:
    """Beginning a call with one of these agents."""
    return Operation(
        "Mint a key for a page that holds its own call",
        "pages",
        {200: {JSON: PageKey}},
        (400, 429, 503),
        query=(Query("agent", "Another agent than the served one.", {"enum": list(agents)}),),
    )


FUNCTION: Final = Operation(
    "Call a function of the agent",
    "pages",
    {
        200: {JSON: ANYTHING},
        # A head that is no HTTP, as with a header of odd characters, is answered before any route.
        400: {JSON: PLAIN_ERROR, "text/plain": TEXT},
        **{status: {JSON: PLAIN_ERROR} for status in (404, 422, 500)},
    },
    (413,),
    takes={JSON: {"type": "object"}},
    body_needed=False,
    query=(
        Query(
            _KEY_NAME,
            "Requests with one key are one change: a new try gets the first one's answer.",
            {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
            place="header",
        ),
    ),
    about=(
        "A refusal is an answer: 200 with `success: false` and a sentence in `error`. "
        "`?agent=` calls the functions of another agent."
    ),
)


def speech() -> Operation:
    """Speaking: which voices there are is known when it is asked."""
    names = {"enum": [voice.name for voice in voices()]}
    wanted = {
        "type": "object",
        "required": ["input"],
        "properties": {
            "model": {"type": ["string", "null"]},
            "input": {"type": "string", "maxLength": 4096, "pattern": r"\S"},
            "voice": {"anyOf": [{"type": "null"}, names, {**_VOICE_BY_ID, "properties": {"id": names}}]},
            "instructions": {"type": ["string", "null"]},
            "response_format": {"enum": [*FORMATS, None]},
            "speed": {"type": ["number", "null"], "minimum": 0.25, "maximum": 1.5},
            "stream_format": {"enum": ["audio", "sse", None]},
        },
    }
    given = {"audio/wav": BYTES, "audio/pcm": BYTES, EVENTS: EVENT}
    return Operation("Speak a text", "audio", {200: given}, (400, 413, 429, 503), takes={JSON: wanted})


_VOICE_BY_ID: Final = {"type": "object", "required": ["id"]}
_RECORDING: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
        "model": {"type": "string"},
        "language": {"type": "string"},
        "prompt": {"type": "string"},
        "response_format": {"enum": list(WRITTEN_FORMS)},
        "stream": {"enum": ["true", "false"]},
        "include[]": {"type": "array", "items": {"enum": ["logprobs"]}},
    },
}
TRANSCRIPTION: Final = Operation(
    "Write down a recording",
    "audio",
    {200: {JSON: WrittenDown, "text/plain": TEXT, EVENTS: EVENT}},
    (400, 413, 429, 503),
    takes={"multipart/form-data": _RECORDING},
)
DOCUMENT: Final = Operation("This document", "house", {200: {JSON: {"type": "object"}}}, keyed=False)
PAGE: Final = Operation("This document, to read", "house", {200: {"text/html": TEXT}}, keyed=False)
