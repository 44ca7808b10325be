"""The handshake that opens every hub connection: JSON and a record separator, whatever the protocol.

Source: HubProtocol.md, "Overview"; the server accepts versions 0 to 2 (2 asks for stateful reconnect).
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from kaiwa.protocol.signalr.faults import InvalidMessage
from kaiwa.protocol.signalr.framing import RECORD_SEPARATOR, RecordCutter
from kaiwa.protocol.signalr.json_codec import UNREADABLE
from kaiwa.protocol.signalr.messages import Protocol

NEWEST_VERSION: Final = 2
RESUMING_VERSION: Final = 2
CANCELED: Final = "Handshake was canceled."
_UNEXPECTED: Final = "An unexpected error occurred during connection handshake."


class HandshakeRequest(msgspec.Struct, frozen=True):
    protocol: str
    version: int


class HandshakeResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    error: str | None = None


def decode_request(message: bytes, *, detailed_errors: bool = False) -> HandshakeRequest:
    """Return what the client asks for. Raises InvalidMessage with the text for the response."""
    try:
        return msgspec.json.decode(message, type=HandshakeRequest)
    except UNREADABLE as fault:
        detail = f" InvalidDataException: {_detail(message)}" if detailed_errors else ""
        raise InvalidMessage(_UNEXPECTED + detail) from fault


def agreed(request: HandshakeRequest, *, binary: bool) -> Protocol:
    """Return the protocol to speak from now on. Raises InvalidMessage with the text for the response."""
    name = request.protocol.lower()
    if name not in ("json", "messagepack"):
        raise InvalidMessage(f"The protocol '{request.protocol}' is not supported.")
    if name == "messagepack" and not binary:
        raise InvalidMessage(
            "Cannot use the 'messagepack' protocol on the current transport. "
            "The transport does not support 'Binary' transfer format."
        )
    if request.version > NEWEST_VERSION:
        raise InvalidMessage(
            f"The server does not support version {request.version} of the '{name}' protocol."
        )
    return name


class Agreed(msgspec.Struct, frozen=True):
    """What a client asked for and gets. `rest`: what it said right behind, in its protocol."""

    protocol: Protocol
    version: int
    rest: bytes


class Opening:
    """A client's first words, cut anywhere. `binary`: its transport carries bytes."""

    def __init__(self, limit_bytes: int, *, binary: bool, detailed_errors: bool) -> None:
        self._cutter = RecordCutter(limit_bytes)
        self._binary, self._detailed_errors = binary, detailed_errors

    def hear(self, data: bytes) -> Agreed | None:
        """Return what was agreed once the request is whole. Raises InvalidMessage with the text for the
        response.
        """
        self._cutter.feed(data)
        try:
            raw = self._cutter.next()
        except InvalidMessage as fault:
            raise InvalidMessage(CANCELED) from fault
        if raw is None:
            return None
        request = decode_request(raw, detailed_errors=self._detailed_errors)
        return Agreed(agreed(request, binary=self._binary), request.version, self._cutter.rest())


def encode_request(request: HandshakeRequest) -> bytes:
    return msgspec.json.encode(request) + RECORD_SEPARATOR


def encode_response(response: HandshakeResponse) -> bytes:
    return msgspec.json.encode(response) + RECORD_SEPARATOR


def decode_response(message: bytes) -> HandshakeResponse:
    """Read the server's answer, without its terminator. Raises InvalidMessage."""
    try:
        return msgspec.json.decode(message, type=HandshakeResponse)
    except UNREADABLE as fault:
        raise InvalidMessage("Error parsing handshake response.") from fault


def _detail(message: bytes) -> str:
    try:
        value: Any = msgspec.json.decode(message)
    except UNREADABLE:
        return "Error reading JSON."
    if not isinstance(value, dict):
        return "Expected a JSON Object."
    request = cast("dict[str, Any]", value)
    for name, kind, called in (("protocol", str, "String"), ("version", int, "Integer")):
        if name not in request:
            return f"Missing required property '{name}'."
        if not isinstance(request[name], kind):
            return f"Expected '{name}' to be of type {called}."
    return "Error reading JSON."
