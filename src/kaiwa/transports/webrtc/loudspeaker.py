"""What a peer hears: house audio that waits, and the packet of every 20 ms.

Sound stays PCM until the moment it is sent, so that it can be taken back to the last frame. Knows no clock:
whoever asks for the next payload asks every 20 ms (`pace`).
"""

from __future__ import annotations

from array import array
from typing import Final

from kaiwa.transports.webrtc.opus import FRAME_BYTES
from kaiwa.transports.webrtc.sound import SoundEncoder

_TAIL_FRAMES: Final = 5
"""So many frames of silence are encoded for real after sound: codec and resampler run out in them."""
_FADE_SAMPLES: Final = 120
_QUIET: Final = bytes(FRAME_BYTES)


class Loudspeaker:
    """`max_bytes` of sound may wait; what comes on top of it is dropped."""

    def __init__(self, encoder: SoundEncoder, silence: bytes, max_bytes: int) -> None:
        self._encoder = encoder
        self._silence = silence
        self._max_bytes = max_bytes
        self._waiting = bytearray()
        self._tail = 0
        self.dropped_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        return len(self._waiting)

    def play(self, sound: bytes) -> None:
        """Take sound to be played after what waits already."""
        room = max(0, self._max_bytes - len(self._waiting))
        self._waiting += sound[:room]
        self.dropped_bytes += len(sound) - min(room, len(sound))

    def clear(self) -> int:
        """Forget what waits, with a fade of 5 ms, and return how many bytes were never heard."""
        forgotten = len(self._waiting)
        faded = _faded(bytes(self._waiting[: 2 * _FADE_SAMPLES]))
        self._waiting = bytearray(faded)
        return forgotten - len(faded)

    def next_payload(self) -> tuple[bytes, bool]:
        """Return the payload of the next 20 ms, and whether there is sound in it."""
        if self._waiting:
            frame = bytes(self._waiting[:FRAME_BYTES])
            del self._waiting[:FRAME_BYTES]
            self._tail = _TAIL_FRAMES
            return self._encoder.encode(frame.ljust(FRAME_BYTES, b"\0")), True
        if self._tail:
            self._tail -= 1
            return self._encoder.encode(_QUIET), False
        return self._silence, False


def _faded(sound: bytes) -> bytes:
    samples = array("h", sound[: len(sound) // 2 * 2])
    for at, sample in enumerate(samples):
        samples[at] = sample * (len(samples) - at) // (len(samples) + 1)
    return samples.tobytes()
