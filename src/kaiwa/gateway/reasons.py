"""How a request ended: one reason each, and what its client is told. Words only.

The words of services and of exceptions never reach a client through here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from kaiwa.upstream.pool.lease import Exhausted

Reason = Literal[
    "completed",
    "refused",  # a service's or the pool's refusal, with its status
    "client_left",
    "client_stalled",  # the client did not read for too long
    "upstream_cut_off",
    "upstream_timeout",
    "upstream_error",  # an error inside a 200
    "upstream_unavailable",  # nobody could be asked, or every one that was failed
    "limit_reached",  # the caller's limits, inside the stream
    "stopped",  # by DELETE
    "shut_down",  # by a server that ends
]

_WORDS: Final[dict[Reason, str]] = {
    "upstream_cut_off": "The service's answer broke off.",
    "upstream_timeout": "The service fell silent.",
    "upstream_error": "The service failed.",
    "upstream_unavailable": "No service could answer.",
    "limit_reached": "Your limit was reached within this answer.",
    "stopped": "The stream was stopped.",
    "shut_down": "The server is shutting down.",
    "client_stalled": "The stream was not read for too long.",
}


@dataclass(frozen=True)
class Refusal:
    """An answer that says no. `headers` besides the type of its content."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


def failed(status: int, code: str, message: str, retry_after_s: float | None = None) -> Refusal:
    """Return a refusal in the services' form."""
    return Refusal(status, msgspec.json.encode(_error(code, message, status)), _retry(retry_after_s))


def refusal_of(exhausted: Exhausted, model: str) -> Refusal:
    """Return what a client hears when nobody can be asked."""
    retry_s = exhausted.retry_after_s
    match exhausted.reason:
        case "unknown_model":
            text = f"The model '{model[:64]}' does not exist or you do not have access to it."
            return failed(404, "model_not_found", text)
        case "rate_limited" | "busy":
            wait = f" Please retry after {math.ceil(retry_s)} seconds." if retry_s is not None else ""
            text = f"Every deployment of this model is at its limit.{wait}"
            return failed(429, "rate_limit_exceeded", text, retry_s)
        case "unavailable" | "disabled" | "tried":
            return failed(503, "upstream_unavailable", _WORDS["upstream_unavailable"], retry_s)


def words_of(reason: Reason) -> str:
    return _WORDS.get(reason, "The stream ended early.")


def reason_of(code: str) -> Reason:
    """Return the reason for a failure of the connection."""
    if code == "upstream_timeout":
        return "upstream_timeout"
    return "upstream_cut_off" if code == "upstream_cut_off" else "upstream_error"


def error_event(reason: Reason, dialect: Literal["chat", "responses"] = "chat") -> bytes:
    """Return the event that keeps a stream that broke off from looking whole."""
    code = "rate_limit_exceeded" if reason == "limit_reached" else reason
    message = words_of(reason)
    if dialect == "responses":
        body = {"type": "error", "code": code, "message": message, "param": None}
        return b"event: error\ndata: " + msgspec.json.encode(body) + b"\n\n"
    return b"data: " + msgspec.json.encode(_error(code, message, 429 if code != reason else 500)) + b"\n\n"


def event_of(refusal: Refusal) -> bytes:
    """Return a refusal as an event, for a stream that has begun with heartbeats."""
    try:
        told = msgspec.json.decode(refusal.body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return error_event("upstream_unavailable")
    return b"data: " + msgspec.json.encode(told) + b"\n\n"


def _error(code: str, message: str, status: int) -> dict[str, object]:
    kind = (
        "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    )
    return {"error": {"message": message, "type": kind, "code": code, "param": None}}


def _retry(seconds: float | None) -> tuple[tuple[str, str], ...]:
    if seconds is None:
        return ()
    wait_s = max(seconds, 0.0)
    return ("retry-after", str(max(1, math.ceil(wait_s)))), (
        "retry-after-ms",
        str(max(1, round(wait_s * 1000))),
    )


UNAUTHORIZED: Final = failed(
    502,
    "upstream_unauthorized",
    "The service refused this server's own credentials. Your key is not at fault.",
)
COMPRESSED: Final = failed(
    502, "upstream_compressed", "The service compressed its answer, which it was asked not to do."
)
