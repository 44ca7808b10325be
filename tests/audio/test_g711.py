"""Mu-law and A-law against published values and against themselves."""

import numpy as np
import pytest

from kaiwa.audio import g711

EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")
EVERY_CODE = bytes(range(256))
MULAW = (g711.encode_mulaw, g711.decode_mulaw)
ALAW = (g711.encode_alaw, g711.decode_alaw)


def samples(pcm):
    return np.frombuffer(pcm, "<i2").astype(int)


# Table 2a and 1a of G.711, scaled to 16 bits: extreme values, segment borders, the steps around zero.
@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0x00, -32124),
        (0x0F, -16764),
        (0x10, -15996),
        (0x7E, -8),
        (0x7F, 0),
        (0x80, 32124),
        (0xFE, 8),
        (0xFF, 0),
    ],
)
def test_mulaw_codes_have_their_published_values(code, value):
    assert samples(g711.decode_mulaw(bytes([code]))) == [value]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0x2A, -32256),
        (0x25, -16896),
        (0x55, -8),
        (0xD5, 8),
        (0xAA, 32256),
        (0x54, -24),
        (0xC5, 264),
        (0xF5, 528),
    ],
)
def test_alaw_codes_have_their_published_values(code, value):
    assert samples(g711.decode_alaw(bytes([code]))) == [value]


@pytest.mark.parametrize(("encode", "decode"), [MULAW, ALAW])
def test_a_code_decoded_and_encoded_is_the_same_code(encode, decode):
    again = encode(decode(EVERY_CODE))
    changed = {code for code in EVERY_CODE if again[code] != code}
    # Mu-law has two zeros.
    assert changed <= {0x7F}


@pytest.mark.parametrize(("encode", "decode"), [MULAW, ALAW])
def test_louder_never_becomes_quieter(encode, decode):
    heard = samples(decode(encode(EVERY_SAMPLE.tobytes())))
    assert (np.diff(heard) >= 0).all()


@pytest.mark.parametrize(("encode", "decode"), [MULAW, ALAW])
def test_a_sample_is_coded_by_one_of_the_two_values_around_it(encode, decode):
    values = np.sort(samples(decode(EVERY_CODE)))
    heard = samples(decode(encode(EVERY_SAMPLE.tobytes())))
    sample = EVERY_SAMPLE.astype(int)
    right = np.clip(np.searchsorted(values, sample), 1, 255)
    assert ((heard == values[right]) | (heard == values[right - 1])).all()


@pytest.mark.parametrize(("encode", "decode"), [MULAW, ALAW])
def test_a_loud_tone_keeps_its_signal_to_noise_ratio(encode, decode):
    tone = 12000 * np.sin(2 * np.pi * 1004 * np.arange(8000) / 8000)
    heard = samples(decode(encode(tone.astype("<i2").tobytes())))
    noise = heard - tone.astype("<i2")
    assert 10 * np.log10((tone**2).mean() / (noise.astype(float) ** 2).mean()) > 36


def test_silence_stays_silent():
    assert g711.encode_mulaw(bytes(4)) == b"\xff\xff"
    assert g711.encode_alaw(bytes(4)) == b"\xd5\xd5"
    assert g711.encode_mulaw(b"") == g711.decode_alaw(b"") == b""
