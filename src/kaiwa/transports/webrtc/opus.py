"""libopus through ctypes: house audio to Opus packets and back, without a resampler in between.

Knows the C functions and their numbers; knows no RTP. The library comes with the package
`opuslib-next-bundled`, or is the system's.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from kaiwa.audio.formats import HOUSE_RATE_HZ
from kaiwa.errors import AudioFormatError, ConfigError

FRAME_MS: Final = 20
FRAME_SAMPLES: Final = HOUSE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES: Final = FRAME_SAMPLES * 2
CLOCK_HZ: Final = 48_000
"""The RTP clock of Opus, whatever the rate of the sound (RFC 7587, section 4.1)."""

_MAX_SAMPLES: Final = HOUSE_RATE_HZ * 120 // 1000
_MAX_PACKET_BYTES: Final = 1275
_VOIP, _RESTRICTED_LOW_DELAY = 2048, 2051
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS, _SET_SIGNAL = 4002, 4010, 4012, 4014, 4024
_SIGNAL_VOICE: Final = 3001
_SILENCE: Final = bytes(FRAME_BYTES)


@cache
def _library() -> Any:
    """Load libopus once. Raises ConfigError when there is none."""
    path = _bundled() or ctypes.util.find_library("opus")
    if path is None:
        raise ConfigError("WebRTC", "libopus is missing.", "Install kaiwa[webrtc], or Debian's libopus0.")
    library = ctypes.CDLL(path)
    pointer, integer, data = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, arguments in (
        ("opus_encoder_create", pointer, (integer, integer, integer, pointer)),
        ("opus_encoder_destroy", None, (pointer,)),
        ("opus_encode", integer, (pointer, data, integer, pointer, integer)),
        ("opus_decoder_create", pointer, (integer, integer, pointer)),
        ("opus_decoder_destroy", None, (pointer,)),
        ("opus_decode", integer, (pointer, data, integer, pointer, integer, integer)),
        ("opus_packet_get_nb_samples", integer, (data, integer, integer)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    # The rest of its arguments is variable.
    library.opus_encoder_ctl.argtypes = (pointer, integer)
    return library


def _bundled() -> str | None:
    found = find_spec("opuslib_next")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for path in (Path(folder) / "_native").glob("*opus*"):
            return str(path)
    return None


class OpusEncoder:
    """Frames of 20 ms of house audio to packets.

    `lossy`: SILK with forward error correction, three times as costly and 4 ms slower; else CELT only.
    """

    def __init__(self, bitrate: int, complexity: int, *, lossy: bool = False) -> None:
        self._library = _library()
        self._encoder: int | None = self._library.opus_encoder_create(
            HOUSE_RATE_HZ, 1, _VOIP if lossy else _RESTRICTED_LOW_DELAY, None
        )
        assert self._encoder, "libopus refused to make an encoder"
        self._packet = ctypes.create_string_buffer(_MAX_PACKET_BYTES)
        self._set(_SET_BITRATE, bitrate)
        self._set(_SET_COMPLEXITY, complexity)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        if lossy:
            self._set(_SET_INBAND_FEC, 1)
            self._set(_SET_PACKET_LOSS, 10)

    def encode(self, frame: bytes) -> bytes:
        """Return the packet of one frame."""
        assert len(frame) == FRAME_BYTES, "an encoder takes whole frames"
        size = self._library.opus_encode(self._encoder, frame, FRAME_SAMPLES, self._packet, _MAX_PACKET_BYTES)
        assert size > 0, "libopus could not encode a whole frame"
        return ctypes.string_at(self._packet, size)

    def _set(self, what: int, value: int) -> None:
        self._library.opus_encoder_ctl(self._encoder, what, ctypes.c_int(value))

    def __del__(self) -> None:
        if encoder := getattr(self, "_encoder", None):
            self._library.opus_encoder_destroy(encoder)


class OpusDecoder:
    """Packets of any rate and channel count to house audio."""

    def __init__(self) -> None:
        self._library = _library()
        self._decoder: int | None = self._library.opus_decoder_create(HOUSE_RATE_HZ, 1, None)
        assert self._decoder, "libopus refused to make a decoder"
        self._sound = ctypes.create_string_buffer(_MAX_SAMPLES * 2)

    def decode(self, packet: bytes) -> bytes:
        """Return the sound of a packet. Raises AudioFormatError for one that is broken."""
        return self._run(packet, len(packet), _MAX_SAMPLES, 0)

    def recover(self, following: bytes, samples: int) -> bytes:
        """Return the sound of a lost packet from what the one after it still tells of it."""
        return self._run(following, len(following), samples, 1)

    def conceal(self, samples: int) -> bytes:
        """Go on as the sound went, for a packet that nothing is known of."""
        return self._run(None, 0, samples, 0)

    def samples_in(self, packet: bytes) -> int:
        """Return how many samples a packet lasts; 0 when it is broken."""
        return max(0, self._library.opus_packet_get_nb_samples(packet, len(packet), HOUSE_RATE_HZ))

    def _run(self, packet: bytes | None, size: int, samples: int, fec: int) -> bytes:
        made = self._library.opus_decode(self._decoder, packet, size, self._sound, samples, fec)
        if made < 0:
            raise AudioFormatError(f"libopus refused a packet of {size} bytes")
        return ctypes.string_at(self._sound, made * 2)

    def __del__(self) -> None:
        if decoder := getattr(self, "_decoder", None):
            self._library.opus_decoder_destroy(decoder)


@cache
def silence_packet(bitrate: int, complexity: int, *, lossy: bool = False) -> bytes:
    """Return the packet of silence that follows silence. It is sent again and again, never made anew."""
    encoder = OpusEncoder(bitrate, complexity, lossy=lossy)
    return [encoder.encode(_SILENCE) for _ in range(50)][-1]
