"""House audio at the models' rate: aligned, flat in the band of speech, silent above it, whole in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.engines.speech.resampling import Resampler, from_pcm16, resample, to_pcm16

RATES = [(24_000, 16_000), (48_000, 24_000), (16_000, 24_000), (22_050, 24_000)]


def tone(hz: float, rate_hz: int) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz).astype(np.float32)


@pytest.mark.parametrize(("source_hz", "target_hz"), RATES)
@pytest.mark.parametrize("hz", [200, 1000, 3000])
def test_speech_keeps_its_shape_and_place(source_hz: int, target_hz: int, hz: int) -> None:
    out = resample(tone(hz, source_hz), source_hz, target_hz)
    assert len(out) == target_hz
    off = np.abs(out - tone(hz, target_hz))[500:-500].max()
    assert off < (0.001 if source_hz != 22_050 else 2 * np.pi * hz / target_hz)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    assert np.abs(resample(tone(9_000, 24_000), 24_000, 16_000))[200:-200].max() < 0.001


@given(st.lists(st.integers(0, 700), max_size=20))
def test_pieces_of_any_length_give_the_same_samples(lengths: list[int]) -> None:
    source = np.random.default_rng(1).normal(size=sum(lengths)).astype(np.float32)
    whole = Resampler(24_000, 16_000).process(source)
    stream, at, pieces = Resampler(24_000, 16_000), 0, [np.zeros(0, dtype=np.float32)]
    for length in lengths:
        pieces.append(stream.process(source[at : at + length]))
        at += length
    assert np.allclose(np.concatenate(pieces), whole, atol=1e-5)


@given(st.binary(max_size=200))
def test_pcm_goes_to_floats_and_back_unchanged(pcm: bytes) -> None:
    assert to_pcm16(from_pcm16(pcm)) == pcm[: len(pcm) & ~1]
