"""Answers that went on in another session: the service counts the sound of the second part, the peer of both.

Knows truncations as JSON objects, and how much of an answer was told before it was broken.
"""

from __future__ import annotations

from kaiwa.events.relay import PassedFrame, UpstreamSaid
from kaiwa.session.relay.aliases import body_of


class SecondParts:
    def __init__(self) -> None:
        self._before_ms: dict[str, int] = {}

    def begin(self, item_id: str, told_ms: float) -> None:
        """The item's sound goes on behind so much of it."""
        self._before_ms[item_id] = int(told_ms)

    def forget(self, item_id: str) -> None:
        """The item was given anew from its beginning."""
        self._before_ms.pop(item_id, None)

    def outward(self, frame: PassedFrame) -> PassedFrame:
        """Return a truncation as the service counts."""
        if frame.type != "conversation.item.truncate" or not self._before_ms:
            return frame
        body = body_of(frame)
        before_ms = self._before_ms.get(str(body.get("item_id")))
        if before_ms is None or not isinstance(body.get("audio_end_ms"), int):
            return frame
        body = {**body, "audio_end_ms": max(0, body["audio_end_ms"] - before_ms)}
        return PassedFrame(type=frame.type, event_id=frame.event_id, body=body)

    def inward(self, said: UpstreamSaid) -> UpstreamSaid:
        """Return a truncation as the peer counts."""
        if said.type != "conversation.item.truncated" or said.body is None:
            return said
        before_ms = self._before_ms.get(str(said.body.get("item_id")))
        if before_ms is None:
            return said
        body = {**said.body, "audio_end_ms": int(said.body.get("audio_end_ms") or 0) + before_ms}
        return UpstreamSaid(type=said.type, event_id=said.event_id, body=body)
