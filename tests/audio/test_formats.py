"""Wire formats become house audio and back, with durations kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiwa.audio import formats
from kaiwa.errors import AudioFormatError
from kaiwa.events.config import PcmaFormat, PcmFormat, PcmuFormat

FORMATS = [PcmFormat(), PcmuFormat(), PcmaFormat()]
TONE = (8000 * np.sin(2 * np.pi * 700 * np.arange(24000) / 24000)).astype("<i2").tobytes()


def through(converter, audio, sizes=(4800,)):
    pieces, at, turn = [], 0, 0
    while at < len(audio):
        size = sizes[turn % len(sizes)]
        pieces.append(converter.push(audio[at : at + size]))
        at, turn = at + size, turn + 1
    return b"".join(pieces) + converter.flush()


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_is_a_second_in_every_format(format):
    wire = through(formats.encoder_for(format), TONE)
    assert formats.duration_ms(format, len(wire)) == 1000
    assert len(wire) == 1000 * formats.bytes_per_ms(format)
    assert len(through(formats.decoder_for(format), wire)) == len(TONE)


@pytest.mark.parametrize("format", FORMATS)
def test_a_tone_survives_the_wire(format):
    wire = through(formats.encoder_for(format), TONE)
    heard = np.frombuffer(through(formats.decoder_for(format), wire), "<i2").astype(float)[2400:-2400]
    said = np.frombuffer(TONE, "<i2").astype(float)[2400:-2400]
    noise = ((heard - said) ** 2).mean()
    assert noise == 0 or 10 * np.log10((said**2).mean() / noise) > 34


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FORMATS[1:]), st.lists(st.integers(1, 2000), min_size=1, max_size=5))
def test_any_cut_of_the_wire_gives_the_same_house_audio(format, sizes):
    wire = through(formats.encoder_for(format), TONE)
    whole = formats.decoder_for(format)
    assert through(formats.decoder_for(format), wire, sizes) == whole.push(wire) + whole.flush()


def test_half_a_sample_of_pcm_is_refused_and_g711_has_no_halves():
    with pytest.raises(AudioFormatError):
        formats.decoder_for(PcmFormat()).push(b"abc")
    formats.decoder_for(PcmuFormat()).push(b"abc")
    assert [formats.sample_bytes(format) for format in FORMATS] == [2, 1, 1]
