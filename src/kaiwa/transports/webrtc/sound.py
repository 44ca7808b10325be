"""The sound codecs of a call: what turns RTP payloads into house audio and back."""

from __future__ import annotations

from typing import Final, Protocol

from kaiwa.audio.formats import HOUSE_RATE_HZ, decoder_for, encoder_for
from kaiwa.events.config import PcmaFormat, PcmuFormat
from kaiwa.transports.webrtc.offer import Codec
from kaiwa.transports.webrtc.opus import CLOCK_HZ, OpusDecoder, OpusEncoder, silence_packet
from kaiwa.transports.webrtc.settings import MediaSettings

_G711_CLOCK_HZ: Final = 8000
_G711_SAMPLES: Final = 3
"""House samples in one of G.711."""
_G711_FRAME_BYTES: Final = 160


class SoundDecoder(Protocol):
    """Payloads to house audio. Raises AudioFormatError for broken ones."""

    def decode(self, packet: bytes) -> bytes: ...

    def recover(self, following: bytes, samples: int) -> bytes:
        """Return a lost packet's sound, from what the next one tells of it where the codec does that."""
        ...

    def conceal(self, samples: int) -> bytes: ...

    def samples_in(self, packet: bytes) -> int: ...


class SoundEncoder(Protocol):
    """Frames of 20 ms of house audio to payloads."""

    def encode(self, frame: bytes) -> bytes: ...


class G711Decoder:
    def __init__(self, format: PcmuFormat | PcmaFormat) -> None:
        self._converter = decoder_for(format)

    def decode(self, packet: bytes) -> bytes:
        return self._converter.push(packet)

    def recover(self, following: bytes, samples: int) -> bytes:
        return self.conceal(samples)

    def conceal(self, samples: int) -> bytes:
        return bytes(samples * 2)

    def samples_in(self, packet: bytes) -> int:
        return len(packet) * _G711_SAMPLES


class G711Encoder:
    def __init__(self, format: PcmuFormat | PcmaFormat) -> None:
        self._converter = encoder_for(format)
        # The resampler looks ahead: the first frame comes out short, and silence goes before it.
        self._made = bytearray()
        self._quiet = encoder_for(format).push(bytes(_G711_FRAME_BYTES * 2 * _G711_SAMPLES * 2))[:1]

    def encode(self, frame: bytes) -> bytes:
        self._made += self._converter.push(frame)
        missing = max(0, _G711_FRAME_BYTES - len(self._made))
        payload = self._quiet * missing + self._made[:_G711_FRAME_BYTES]
        del self._made[:_G711_FRAME_BYTES]
        return bytes(payload)


class Sound:
    """The two directions of one call, its RTP clock and its packet of silence."""

    def __init__(self, codec: Codec, settings: MediaSettings) -> None:
        if codec.name == "opus":
            self.clock_hz = CLOCK_HZ
            self.decoder: SoundDecoder = OpusDecoder()
            how = (settings.bitrate, settings.complexity)
            self.encoder: SoundEncoder = OpusEncoder(*how, lossy=settings.lossy)
            self.silence = silence_packet(*how, lossy=settings.lossy)
            return
        format = PcmuFormat() if codec.name == "pcmu" else PcmaFormat()
        self.clock_hz = _G711_CLOCK_HZ
        self.decoder = G711Decoder(format)
        self.encoder = G711Encoder(format)
        self.silence = G711Encoder(format).encode(bytes(HOUSE_RATE_HZ // 50 * 2))
