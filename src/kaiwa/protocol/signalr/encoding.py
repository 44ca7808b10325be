"""A message for many connections, encoded at most once for each protocol, with its WebSocket frame ready."""

from __future__ import annotations

from collections.abc import Mapping

from kaiwa.protocol.signalr import json_codec, messagepack_codec
from kaiwa.protocol.signalr.framing import web_socket_frame
from kaiwa.protocol.signalr.messages import TRACKED, HubMessage, Protocol

ENCODERS = {"json": json_codec.encode, "messagepack": messagepack_codec.encode}


class Encoded:
    """One message in one protocol, with terminator or length; `tracked`: stateful reconnect counts it."""

    __slots__ = ("_frame", "binary", "payload", "tracked")

    def __init__(self, payload: bytes, *, binary: bool, tracked: bool) -> None:
        self.payload, self.binary, self.tracked = payload, binary, tracked
        self._frame: bytes | None = None

    @property
    def frame(self) -> bytes:
        """The payload as one unmasked WebSocket frame; built when first asked for."""
        if self._frame is None:
            self._frame = web_socket_frame(self.payload, binary=self.binary)
        return self._frame


class Outgoing:
    """What a broadcast hands to every connection; each protocol is encoded when first needed, then shared."""

    __slots__ = ("_encoded", "_message", "_tracked")

    def __init__(self, message: HubMessage) -> None:
        self._message: HubMessage | None = message
        self._tracked = isinstance(message, TRACKED)
        self._encoded: dict[str, Encoded] = {}

    @classmethod
    def from_payloads(cls, payloads: Mapping[Protocol, bytes], *, tracked: bool = True) -> Outgoing:
        """Take messages that came encoded, as from a backplane: payloads with terminator or length."""
        made = cls.__new__(cls)
        made._message, made._tracked = None, tracked
        made._encoded = {
            name: Encoded(payload, binary=name == "messagepack", tracked=tracked)
            for name, payload in payloads.items()
        }
        return made

    @property
    def size_bytes(self) -> int:
        """The size in the protocols that it was asked for so far, the largest."""
        return max((len(encoded.payload) for encoded in self._encoded.values()), default=0)

    def encoded(self, protocol: Protocol) -> Encoded:
        """Return the message in a protocol.

        Raises TypeError for arguments that cannot be encoded, KeyError for a protocol that a backplane's
        payloads do not hold.
        """
        found = self._encoded.get(protocol)
        if found is None:
            if self._message is None:
                raise KeyError(protocol)
            payload = ENCODERS[protocol](self._message)
            found = Encoded(payload, binary=protocol == "messagepack", tracked=self._tracked)
            self._encoded[protocol] = found
        return found
