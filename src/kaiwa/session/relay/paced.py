"""The sound of a relayed call, where kaiwa paces playback: what is heard, what is cut off, and who is told.

The service on its WebSocket takes its client to own playback; here kaiwa is that client. Knows GA frames as
JSON objects. Source: Realtime reference B6 (WebRTC playout, interruption by VAD).
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, Final, cast

from kaiwa.audio.formats import duration_ms
from kaiwa.events import client, server
from kaiwa.events.config import PcmFormat
from kaiwa.events.relay import Forward, PassedFrame, UpstreamSaid
from kaiwa.session.absence import GO_ON
from kaiwa.session.floor import Floor
from kaiwa.session.outbox import Outbox
from kaiwa.session.paced import PacedOutput

CLEAR: Final = "output_audio_buffer.clear"
# What has to be looked into for it.
TYPES: Final = frozenset(
    {
        "response.output_audio.delta",
        "response.created",
        "input_audio_buffer.speech_started",
        "session.updated",
    }
)
_HOUSE: Final = PcmFormat()


class PacedRelay:
    """Feed it what the service says about responses and speech, in order."""

    def __init__(self, out: Outbox, enabled: bool = True) -> None:
        """`enabled`: kaiwa plays the sound from the beginning; else once the peer comes back as a call."""
        self._out = out
        self._floor = Floor()
        self._paced = PacedOutput(enabled, out, self._floor, self._truncate)
        self._active: str | None = None
        self._cut: str | None = None
        self._own_ids: set[str] = set()
        self._cut_off = False

    @property
    def enabled(self) -> bool:
        return self._paced.enabled

    def append(self, event: client.AudioAppended) -> PassedFrame:
        """Return the frame that carries the microphone's sound to the service."""
        sound = binascii.b2a_base64(event.audio, newline=False).decode()
        frame = f'{{"type":"input_audio_buffer.append","audio":"{sound}"}}'
        return PassedFrame(type="input_audio_buffer.append", frame=frame)

    def began(self, response_id: str) -> None:
        self._active = response_id

    def ended(self, response_id: str) -> None:
        if response_id == self._active:
            self._active, self._floor.generating = None, False

    def sound(self, said: UpstreamSaid, body: Mapping[str, Any], now: float) -> None:
        """Hand on the sound as sound. What comes after a cut belongs to the past."""
        if body.get("response_id") == self._cut:
            return
        if not self._paced.enabled:
            self._floor.sent(str(body.get("item_id")), _sound_ms(body), now)
            self._out.show(said)
            return
        sound = sound_in(body)
        if sound is None:
            return
        self._out.show(sound)
        self._floor.generating = self._floor.generating or sound.response_id == self._active
        self._floor.sent(sound.item_id, duration_ms(_HOUSE, len(sound.delta)), now)
        self._paced.sent(sound.response_id)

    def cut(self, now: float) -> None:
        """Stop what is heard, and the rest of the response that comes still."""
        if not self._paced.enabled:
            return
        self._cut, self._floor.generating = self._active, False
        self._paced.cut(now)

    def lose(self, moment: float, now: float) -> None:
        """Nobody hears the sound since that moment: keep what was heard, and stop the rest."""
        if not self._paced.enabled:
            return
        if self._active is not None:
            self._cut, self._floor.generating = self._active, False
            self._say("response.cancel", response_id=self._active)
        cut_off = self._paced.lose(moment, now)
        self._cut_off = self._cut_off or cut_off or self._active is not None

    def come_back(self, event: client.PeerReturned, instructions: str, now: float) -> None:
        """Somebody hears again: let the service go on where the sound was cut off."""
        self._paced.enabled = event.paced
        if event.paced:
            self._paced.resume(event.sounds, now)
        if self._cut_off:
            self._cut_off = False
            told = "\n\n".join(part for part in (instructions, GO_ON) if part)
            self._say("response.create", response={"instructions": told})

    def drained_at(self) -> float | None:
        return self._paced.drained_at()

    def handle_timer(self, now: float) -> None:
        self._paced.handle_timer(now)

    def refused(self, event_id: str) -> bool:
        """True when the error is about a wish of ours: an item may have been deleted meanwhile."""
        known = event_id in self._own_ids
        self._own_ids.discard(event_id)
        return known

    def _truncate(self, item_id: str, heard_ms: int) -> None:
        self._say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=heard_ms)

    def _say(self, kind: str, **fields: object) -> None:
        event_id = self._out.new_id("event")
        self._own_ids.add(event_id)
        body = {"type": kind, "event_id": event_id, **fields}
        self._out.ask(Forward(frame=PassedFrame(type=kind, event_id=event_id, body=body)))


def sound_in(body: Mapping[str, Any]) -> server.AudioDelta | None:
    """Return the sound of a `response.output_audio.delta` as bytes; None when it cannot be read."""
    try:
        return server.AudioDelta(
            event_id=str(body.get("event_id") or ""),
            response_id=str(body.get("response_id")),
            item_id=str(body.get("item_id")),
            output_index=int(body.get("output_index") or 0),
            content_index=int(body.get("content_index") or 0),
            delta=binascii.a2b_base64(str(body.get("delta"))),
        )
    except (binascii.Error, TypeError, ValueError):
        return None


def _sound_ms(body: Mapping[str, Any]) -> float:
    """Return how long a frame's sound is, without decoding it."""
    sound = str(body.get("delta") or "")
    return duration_ms(_HOUSE, len(sound) * 3 // 4 - sound[-2:].count("="))


def interrupts(session: Mapping[str, Any]) -> bool:
    """Say whether speech cuts an answer off under these settings."""
    value: Any = session
    for step in ("audio", "input", "turn_detection"):
        value = cast(Mapping[str, Any], value).get(step) if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping):
        return False
    return cast(Mapping[str, Any], value).get("interrupt_response", True) is not False
