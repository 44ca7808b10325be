"""Sound that waits, and the schedule it leaves on. Time is an argument."""

from __future__ import annotations

import numpy as np
import pytest
from tests.transports.webrtc.aiortc_peer import loudest_hz, sine

from kaiwa.events.config import PcmuFormat
from kaiwa.transports.webrtc.loudspeaker import Loudspeaker
from kaiwa.transports.webrtc.opus import FRAME_BYTES, OpusDecoder, OpusEncoder, silence_packet
from kaiwa.transports.webrtc.pace import STEP_S, Pace
from kaiwa.transports.webrtc.sound import G711Decoder, G711Encoder

SILENCE = silence_packet(32_000, 5)


def loudspeaker(max_s: float = 600.0) -> Loudspeaker:
    return Loudspeaker(OpusEncoder(32_000, 5), SILENCE, int(max_s * 48_000))


def tone(seconds: float) -> bytes:
    return sine(1000, int(seconds * 24_000), rate_hz=24_000).tobytes()


def test_sound_takes_as_long_as_it_lasts_and_then_silence_follows() -> None:
    speaker = loudspeaker()
    speaker.play(tone(0.1) + tone(0.005))
    assert [speaker.next_payload()[1] for _ in range(8)] == [True] * 6 + [False] * 2


def test_silence_is_one_packet_that_was_made_once() -> None:
    speaker = loudspeaker()
    speaker.play(tone(0.02))
    payloads = [speaker.next_payload()[0] for _ in range(12)]
    assert payloads[0] != SILENCE
    assert all(payload is SILENCE for payload in payloads[6:])
    assert len(SILENCE) < 20


def test_what_was_not_played_is_forgotten_within_one_frame() -> None:
    speaker = loudspeaker()
    speaker.play(tone(10.0))
    for _ in range(50):
        speaker.next_payload()
    assert speaker.clear() == 9 * 48_000 - 240
    decoder = OpusDecoder()
    after = [np.frombuffer(decoder.decode(speaker.next_payload()[0]), "<i2") for _ in range(4)]
    assert np.abs(after[1]).max() < 200
    assert not np.abs(after[3]).max() > 10


def test_sound_after_a_flush_is_whole() -> None:
    speaker = loudspeaker()
    decoder = OpusDecoder()
    speaker.play(tone(1.0))
    decoder.decode(speaker.next_payload()[0])
    speaker.clear()
    for _ in range(100):
        decoder.decode(speaker.next_payload()[0])
    speaker.play(tone(1.0))
    sound = b"".join(decoder.decode(speaker.next_payload()[0]) for _ in range(50))
    samples = np.frombuffer(sound, "<i2")
    assert abs(loudest_hz(samples, 24_000) - 1000) < 2
    assert abs(np.abs(samples[2400:]).max() - 8000) < 1500


def test_too_much_sound_is_dropped_and_counted() -> None:
    speaker = loudspeaker(max_s=1.0)
    speaker.play(tone(0.9))
    speaker.play(tone(0.9))
    assert (speaker.waiting_bytes, speaker.dropped_bytes) == (48_000, 38_400)


def test_g711_frames_have_160_bytes_from_the_first_on() -> None:
    encoder, decoder = G711Encoder(PcmuFormat()), G711Decoder(PcmuFormat())
    sound = tone(1.0)
    payloads = [encoder.encode(sound[at : at + FRAME_BYTES]) for at in range(0, len(sound), FRAME_BYTES)]
    assert {len(payload) for payload in payloads} == {160}
    samples = np.frombuffer(b"".join(decoder.decode(payload) for payload in payloads), "<i2")
    assert abs(loudest_hz(samples, 24_000) - 1000) < 3


def test_packets_leave_every_20_ms_of_the_clock_however_late_one_was() -> None:
    pace = Pace(100.0)
    for lateness in (0.0, 0.015, 0.0, 0.05, 0.03, 0.01, 0.0):
        pace.step(pace.due + lateness)
    assert pace.due == pytest.approx(100.0 + 7 * STEP_S)
    assert (pace.late, pace.stalls) == (2, 0)


def test_after_a_stall_the_schedule_moves_instead_of_bursting() -> None:
    pace = Pace(100.0)
    pace.step(100.0)
    pace.step(101.02)
    assert pace.due == pytest.approx(101.04)
    assert pace.stalls == 1
