"""What goes wrong with the stand-in: one readable value, also as `name=value,name=value` in a model's name.

Knows which fault strikes when; doing it is the door's, the transport's and the engine's part.
"""

from __future__ import annotations

from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kaiwa.events.value import Value
from kaiwa.testing.faults.choosing import parse_choices

Seconds = Annotated[float, Meta(ge=0)]
# An event type of the GA protocol, or a pattern of one: "session.created", "response.*.delta".
EventPattern = str

REFUSALS = {
    "invalid_api_key": 3000,
    "insufficient_permissions": 3000,
    "missing_model": 4000,
    "invalid_model": 4000,
    "beta_api_shape_disabled": 4000,
    "model_not_found": 4004,
}


class Faults(Value, kw_only=True):
    """Nothing is wrong unless a field says so. Each `…_after` strikes once a connection, right after the
    first event that fits it was sent.

    Before the upgrade, and for every other request: `connect_delay_s`; then `http_status` instead of an
    answer, with `retry_after_s`. After it: `refuse` (an `error` event and the close that belongs to it),
    `expire_after_s` (`session_expired`, 1001).
    Frames: each `late_ms` late; only `read_frames` of the client's frames are read; a frame that is no JSON,
    an event nobody knows, or a `server_error` event is put in.
    Ends: `close_after` with `close_code`, `reset_after` (TCP reset), `freeze_after` (neither read nor
    written any more, yet not closed).
    Answers: every response fails with the code `fail_response`, every transcription with
    `fail_transcription` (Azure: `DeploymentNotFound`).
    Chat, whose streams have the events `request`, `head`, `prompt_filter`, `role`, `delta`, `filter`,
    `finish`, `usage` and `done`, those of responses their own: a name alone means the first such event,
    `delta.3` the third. `close_after` and `reset_after` cut the answer there; `cut_in` in the middle of
    that event; `end_after` ends it as if that were all; `error_after` by an error inside the 200.
    `first_token_s` passes before the first piece. `framing` of the body, `head_parts` and `fragment_bytes`
    of what is written. `retry_after_form` is how 429 and 503 tell `retry_after_s`.
    `times`: so many requests are struck from now on, the next ones are not.
    """

    times: Annotated[int, Meta(ge=0)] | None = None
    connect_delay_s: Seconds = 0
    http_status: Literal[400, 401, 403, 404, 408, 429, 500, 502, 503, 504] | None = None
    retry_after_s: Annotated[int, Meta(ge=0)] | None = None
    retry_after_form: Literal["seconds", "ms", "date"] = "seconds"
    refuse: str | None = None
    expire_after_s: Seconds | None = None
    late_ms: Annotated[int, Meta(ge=0)] = 0
    read_frames: Annotated[int, Meta(ge=0)] | None = None
    malformed_after: EventPattern | None = None
    unknown_after: EventPattern | None = None
    error_after: EventPattern | None = None
    close_after: EventPattern | None = None
    close_code: Annotated[int, Meta(ge=1000, le=4999)] = 1011
    reset_after: EventPattern | None = None
    freeze_after: EventPattern | None = None
    fail_response: str | None = None
    fail_transcription: str | None = None
    first_token_s: Seconds = 0
    cut_in: EventPattern | None = None
    end_after: EventPattern | None = None
    framing: Literal["chunked", "content-length", "gzip", "close"] | None = None
    head_parts: Annotated[int, Meta(ge=1)] = 1
    fragment_bytes: Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        if self.refuse is not None and self.refuse not in REFUSALS:
            raise ValueError(f"refuse is one of {', '.join(REFUSALS)}, not {self.refuse!r}")


NO_FAULTS = Faults()


def fits(pattern: EventPattern | None, event_type: str) -> bool:
    return pattern is not None and fnmatchcase(event_type, pattern)


def retry_headers(faults: Faults, now: float) -> dict[str, str]:
    """Return when to come again, in the form that the faults name. `now` is in seconds since 1970."""
    seconds = faults.retry_after_s
    if seconds is None:
        return {}
    match faults.retry_after_form:
        case "seconds":
            return {"retry-after": str(seconds)}
        case "ms":
            return {"retry-after-ms": str(seconds * 1000)}
        case "date":
            return {"retry-after": formatdate(now + seconds, usegmt=True)}


def parse_faults(text: str) -> Faults:
    """Read `late_ms=200,close_after=response.created`, or names of the list of faults on demand, as in
    `upstream-busy,retry_after_s=2`. Raises ValueError with what is wrong."""
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, said, value = part.partition("=")
        values |= {name.strip(): value.strip()} if said else _listed(part)
    try:
        return msgspec.convert(values, Faults, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _listed(name: str) -> dict[str, str]:
    (choice,) = parse_choices(name)
    if choice.fault.player != "service":
        raise ValueError(f"{choice.fault.name} is not played by a service: see docs/faults.md")
    return choice.for_the_service()


def split_model(name: str) -> tuple[str, Faults | None]:
    """Tell `gpt-realtime@late_ms=200` into the model and the faults that come with it. Raises ValueError."""
    model, marked, faults = name.partition("@")
    return model, parse_faults(faults) if marked else None
