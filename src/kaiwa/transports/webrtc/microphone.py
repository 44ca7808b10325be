"""What a peer says: RTP packets to one unbroken line of house audio.

Knows sequence numbers, timestamps and the `now` it is given; knows no socket. Lost packets are made up for
from the next one, or concealed. A pause in the packets (a muted track, DTX) is silence of the same length,
given while it lasts, so that a turn can end in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kaiwa.audio.formats import HOUSE_RATE_HZ
from kaiwa.errors import AudioFormatError
from kaiwa.transports.webrtc.reorder import Reorder
from kaiwa.transports.webrtc.rtp import RtpPacket
from kaiwa.transports.webrtc.sound import SoundDecoder

PAUSE_S: Final = 0.2
"""A break longer than this is a pause and not jitter."""
_FRAME: Final = HOUSE_RATE_HZ // 50
_CONCEALED: Final = 2 * _FRAME
"""So many samples the decoder goes on by itself; after that a loss is silence."""
_LONGEST_GAP: Final = HOUSE_RATE_HZ


class Microphone:
    """One incoming stream; a change of its SSRC begins anew."""

    def __init__(self, decoder: SoundDecoder, clock_hz: int, payload_type: int) -> None:
        self._decoder = decoder
        self._clock_hz = clock_hz
        self._payload_type = payload_type
        self._reorder = Reorder()
        self._ssrc: int | None = None
        self._last: int | None = None
        self._due = 0
        self._heard_at: float | None = None
        self._filled = 0
        self._too_much = 0
        self.recovered = self.concealed = self.broken = 0

    @property
    def late(self) -> int:
        return self._reorder.late

    def arrived(self, packet: RtpPacket, now: float) -> bytes:
        """Return the sound that is settled with this packet."""
        if packet.ssrc != self._ssrc:
            self._ssrc, self._last, self._reorder = packet.ssrc, None, Reorder()
        sound = b"".join(piece for ready in self._reorder.push(packet, now) for piece in self._take(ready))
        self._heard_at = now
        return sound

    def pass_time(self, now: float) -> bytes:
        """Return what is settled by waiting: packets behind a lost one, and silence in a pause."""
        sound = b"".join(piece for ready in self._reorder.overdue(now) for piece in self._take(ready))
        if self._heard_at is None or now - self._heard_at < PAUSE_S:
            return sound
        frames = (int((now - self._heard_at) * HOUSE_RATE_HZ) - self._filled) // _FRAME
        self._filled += frames * _FRAME
        return sound + self._silence(min(frames * _FRAME, _LONGEST_GAP))

    def _take(self, packet: RtpPacket) -> Iterator[bytes]:
        if self._last is not None:
            missing = (packet.sequence - self._last - 1) & 0xFFFF
            yield from self._bridge(packet, missing)
        self._last = packet.sequence
        self._filled = 0
        self._due = packet.timestamp
        # Other payload types (comfort noise, telephone events) take their number and make no sound.
        if packet.payload_type != self._payload_type or not packet.payload:
            return
        try:
            sound = self._decoder.decode(packet.payload)
        except AudioFormatError:
            self.broken += 1
            return
        self._due += self._decoder.samples_in(packet.payload) * self._clock_hz // HOUSE_RATE_HZ
        yield sound

    def _bridge(self, packet: RtpPacket, missing: int) -> Iterator[bytes]:
        """Give the sound between what was heard last and this packet."""
        gap = (packet.timestamp - self._due) & 0xFFFFFFFF
        if gap >= 0x80000000:
            return
        samples = min(gap * HOUSE_RATE_HZ // self._clock_hz - self._filled, _LONGEST_GAP)
        if samples <= 0:
            # The pause was none: the network stood still, and what it held comes now.
            self._too_much -= samples
            return
        if not missing or self._filled:
            yield self._silence(samples)
            return
        told = min(samples, self._decoder.samples_in(packet.payload) or samples)
        concealed = min(samples - told, _CONCEALED)
        try:
            yield from self._concealed(concealed)
            yield bytes(2 * (samples - told - concealed))
            yield self._decoder.recover(packet.payload, told)
            self.recovered += 1
        except AudioFormatError:
            self.broken += 1

    def _silence(self, samples: int) -> bytes:
        """Return silence, less what was given too much of before: the line must not grow longer than life."""
        saved = min(samples, self._too_much)
        self._too_much -= saved
        return bytes(2 * (samples - saved))

    def _concealed(self, samples: int) -> Iterator[bytes]:
        while samples > 0:
            piece = min(samples, _FRAME)
            yield self._decoder.conceal(piece)
            self.concealed += 1
            samples -= piece
