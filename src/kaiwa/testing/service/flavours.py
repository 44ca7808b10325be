"""Where OpenAI and Azure differ on the wire: keys, refusals, names and habits. Source: reference A1, E8.

Knows one request at a time; knows neither sockets nor what happens after the door.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from starlette.requests import HTTPConnection

from kaiwa.events import server
from kaiwa.events.client import ClientEvent
from kaiwa.transports.websocket import Codec

Flavour = Literal["openai", "azure"]
_KEY_PROTOCOL: Final = "openai-insecure-api-key."
_MESSAGES: Final = {
    401: "The key is missing, wrong, or not meant for this resource.",
    403: "The key may not do this.",
    404: "There is no such deployment here.",
    429: "Too many requests. Try again later.",
    500: "The service had an error.",
    503: "The service is not available at the moment.",
}
_OPENAI_ERRORS: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "insufficient_permissions"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "server_error"),
    503: ("server_error", "service_unavailable"),
}


def flavour_of(path: str) -> Flavour:
    return "azure" if path.startswith("/openai/") else "openai"


def offered_keys(flavour: Flavour, connection: HTTPConnection) -> list[str]:
    """Return the credentials where this service looks for them, and nowhere else."""
    headers, query = connection.headers, connection.query_params
    keys = [_bearer(headers.get("authorization"))]
    if flavour == "azure":
        keys += [headers.get("api-key"), query.get("api-key"), _bearer(query.get("Authorization"))]
    offered = headers.get("sec-websocket-protocol", "").split(",")
    names = [name.strip() for name in offered]
    keys += [name.removeprefix(_KEY_PROTOCOL) for name in names if name.startswith(_KEY_PROTOCOL)]
    return [key for key in keys if key]


def _bearer(value: str | None) -> str | None:
    scheme, _, key = (value or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def http_error(flavour: Flavour, status: int, *, code: str | None = None, message: str | None = None) -> Any:
    """Return the JSON body of an error as this service writes it."""
    kind, usual_code = _OPENAI_ERRORS.get(status, ("invalid_request_error", "invalid_value"))
    text = message or _MESSAGES.get(status, "The request cannot be served.")
    if flavour == "azure":
        usual_code = "DeploymentNotFound" if status == 404 else str(status)
        return {"error": {"code": code or usual_code, "message": text}}
    return {"error": {"message": text, "type": kind, "param": None, "code": code or usual_code}}


class AzureCodec:
    """Adds what Azure adds: `content_part` events carry their part twice."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        return self._codec.decode_client(frame, binary)

    def encode_server(self, event: server.ServerEvent) -> str:
        frame = self._codec.encode_server(event)
        if not isinstance(event, server.ContentPartAdded | server.ContentPartDone):
            return frame
        return f'{frame[:-1]},"content":{msgspec.json.encode(event.part).decode()}}}'
