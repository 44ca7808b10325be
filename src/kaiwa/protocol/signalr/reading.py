"""Reads hub messages of one protocol out of a byte stream."""

from __future__ import annotations

from kaiwa.protocol.signalr import json_codec, messagepack_codec
from kaiwa.protocol.signalr.framing import LengthCutter, RecordCutter
from kaiwa.protocol.signalr.messages import HubMessage, Protocol


class MessageReader:
    def __init__(self, protocol: Protocol, limit_bytes: int) -> None:
        json = protocol == "json"
        self._cutter = RecordCutter(limit_bytes) if json else LengthCutter(limit_bytes)
        self._decode = json_codec.decode if json else messagepack_codec.decode
        self.feed, self.forget = self._cutter.feed, self._cutter.forget

    def next(self) -> HubMessage | None:
        """Return the next message, None while more bytes are needed; messages of unknown types are skipped.

        Raises InvalidMessage; the stream cannot be read any further then.
        """
        while (raw := self._cutter.next()) is not None:
            message = self._decode(raw)
            if message is not None:
                return message
        return None
