"""What a request of the REST API says: names, numbers and messages, checked (rule S-57). Raises Fault."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request

from kaiwa.hub.azure.service.faults import Fault, invalid
from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.messages import Invocation

MOST_BYTES: Final = 1024 * 1024
MOST_GROUP_LETTERS: Final = 1024
_HUB: Final = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
_BINARY: Final = ("application/x-msgpack", "application/octet-stream")


class Payload(msgspec.Struct, frozen=True):
    """A call of a client's method."""

    target: str
    arguments: list[Any] | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("`target` must not be empty")

    @property
    def values(self) -> list[Any]:
        return self.arguments or []


def hub_in(request: Request) -> tuple[str, str]:
    """Return the hub and the application of a request."""
    hub, application = request.path_params["hub"], request.query_params.get("application", "")
    if not _HUB.fullmatch(hub):
        raise invalid("The hub's name is not valid.", "hub")
    if application and not _HUB.fullmatch(application):
        raise invalid("The application's name is not valid.", "application")
    return hub, application


def group_named(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > MOST_GROUP_LETTERS:
        raise invalid(f"A group's name has 1 to {MOST_GROUP_LETTERS} letters and is not blank.", "group")
    return name


def whole_number(request: Request, name: str, least: int, most: int) -> int | None:
    said = request.query_params.get(name)
    if said is None:
        return None
    if not said.isascii() or not said.isdigit() or not least <= int(said[:12]) <= most:
        raise invalid(f"{name} is a whole number from {least} to {most}.", name)
    return int(said)


def flag(request: Request, name: str) -> bool:
    said = request.query_params.get(name, "false").lower()
    if said not in ("true", "false"):
        raise invalid(f"{name} is true or false.", name)
    return said == "true"


async def body_of(request: Request) -> bytes:
    """Return the whole body; never holds more than its bound."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise Fault(413, "Error.Request.TooLarge", f"A body has at most {MOST_BYTES} bytes.")
    return bytes(body)


def kind_of(request: Request) -> str:
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


async def message_in(request: Request) -> Outgoing:
    """Return what to send, of a message or of payloads that are encoded for each protocol already."""
    kind, body = kind_of(request), await body_of(request)
    if kind not in _BINARY:
        return outgoing(payload_in(kind, body))
    read = _unpacked(body)
    if "target" in read:
        return outgoing(_payload(read))
    payloads = {name: value for name, value in read.items() if name in ("json", "messagepack")}
    if set(payloads) != {"json", "messagepack"} or not all(
        isinstance(one, bytes) for one in payloads.values()
    ):
        raise invalid("The body holds no payload for 'json' and 'messagepack'.", "payload")
    return Outgoing.from_payloads(cast(Any, payloads))


def outgoing(payload: Payload) -> Outgoing:
    return Outgoing(Invocation(payload.target, payload.values))


def payload_in(kind: str, body: bytes) -> Payload:
    if kind in _BINARY:
        return _payload(_unpacked(body))
    if kind not in ("application/json", "text/json", ""):
        raise Fault(415, "Error.Request.MediaType", "A message is JSON or MessagePack.")
    return _payload(json_in(body))


def json_in(body: bytes) -> Any:
    if not body.strip():
        raise invalid("A non-empty request body is required.", "payload")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise invalid("The body is no JSON.", "payload") from None


def _payload(read: Any) -> Payload:
    try:
        return msgspec.convert(read, Payload)
    except msgspec.ValidationError:
        words = "A message has a `target` that is not empty, and `arguments` that are an array."
        raise invalid(words, "payload") from None


def command_payload(read: Any) -> Payload:
    return _payload(read)


def _unpacked(body: bytes) -> dict[str, Any]:
    try:
        read: Any = msgspec.msgpack.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        read = None
    if not isinstance(read, dict) or not all(isinstance(name, str) for name in cast(dict[Any, Any], read)):
        raise invalid("The body is no MessagePack of a message.", "payload")
    return cast(dict[str, Any], read)
