"""A resampled stream keeps its duration, its seams are invisible and its sound is the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiwa.audio.resample import Resampler, resample
from kaiwa.errors import AudioFormatError

RATES = [
    (8000, 24000),
    (24000, 8000),
    (16000, 24000),
    (24000, 16000),
    (48000, 24000),
    (24000, 48000),
    (44100, 24000),
]


def tone(hz, rate_hz, seconds=0.5, amplitude=10000):
    return (
        (amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz))
        .astype("<i2")
        .tobytes()
    )


def samples(pcm):
    return np.frombuffer(pcm, "<i2").astype(float)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RATES), st.lists(st.integers(0, 700), max_size=12), st.integers(0, 2**32 - 1))
def test_any_cut_of_the_input_gives_the_same_samples(rates, sizes, seed):
    noise = np.random.default_rng(seed).integers(-32768, 32768, sum(sizes)).astype("<i2").tobytes()
    resampler = Resampler(*rates)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(resampler.push(noise[at : at + 2 * size]))
        at += 2 * size
    pieces.append(resampler.flush())
    assert b"".join(pieces) == resample(noise, *rates)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RATES), st.integers(0, 5000))
def test_the_duration_is_kept_to_a_sample(rates, count):
    from_hz, to_hz = rates
    assert len(resample(bytes(2 * count), from_hz, to_hz)) == 2 * -(-count * to_hz // from_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_minute_of_small_pieces_does_not_drift(from_hz, to_hz):
    resampler = Resampler(from_hz, to_hz)
    piece = bytes(2 * (from_hz // 50))
    given_bytes = sum(len(resampler.push(piece)) for _ in range(3000))
    assert 0 <= 60 * to_hz * 2 - given_bytes <= 0.004 * to_hz * 2
    assert given_bytes + len(resampler.flush()) == 60 * to_hz * 2


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("hz", [100, 440, 1000, 3000])
def test_a_tone_is_the_same_tone_in_the_same_place(from_hz, to_hz, hz):
    heard, wanted = samples(resample(tone(hz, from_hz), from_hz, to_hz)), samples(tone(hz, to_hz))
    middle = slice(to_hz // 10, to_hz * 4 // 10)
    noise = heard[middle] - wanted[middle]
    assert 10 * np.log10((wanted[middle] ** 2).mean() / max((noise**2).mean(), 1e-9)) > 60


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "hz"), [(24000, 8000, 5000), (24000, 16000, 9500), (48000, 24000, 15000)]
)
def test_a_tone_the_lower_rate_cannot_hold_vanishes(from_hz, to_hz, hz):
    heard = samples(resample(tone(hz, from_hz), from_hz, to_hz))[to_hz // 10 : to_hz * 4 // 10]
    assert 20 * np.log10(np.abs(heard).max() / 10000 + 1e-9) < -60


def test_there_and_back_again_is_the_same_sound():
    voice = samples(tone(300, 16000)) + samples(tone(1200, 16000, amplitude=4000))
    there = resample(voice.astype("<i2").tobytes(), 16000, 24000)
    back = samples(resample(there, 24000, 16000))
    middle = slice(1600, 6400)
    noise = back[middle] - voice[middle]
    assert 10 * np.log10((voice[middle] ** 2).mean() / max((noise**2).mean(), 1e-9)) > 55


def test_full_scale_is_clipped_and_never_wraps_around():
    square = np.repeat(np.tile([32767, -32768], 50), 20).astype("<i2")
    heard = samples(resample(square.tobytes(), 8000, 24000))
    # Away from the edges the sign is that of the input.
    assert (heard[30:][::60] * np.sign(samples(square.tobytes())[10::20]) > 0).all()


def test_after_a_flush_the_next_stream_starts_afresh():
    resampler = Resampler(8000, 24000)
    first = resampler.push(tone(440, 8000)) + resampler.flush()
    assert resampler.push(tone(440, 8000)) + resampler.flush() == first


def test_the_same_rate_passes_everything_through():
    assert Resampler(24000, 24000).push(b"abcd") == b"abcd"


def test_half_a_sample_is_refused():
    with pytest.raises(AudioFormatError):
        Resampler(8000, 24000).push(b"abc")
