"""Where people speak, on real recordings and on sounds that are no speech."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from kaiwa.engines.speech.models import SpeechModels
from kaiwa.engines.speech.resampling import Resampler, from_pcm16, to_pcm16

SECOND = 24_000


def spans(judged: list[tuple[int, float]]) -> list[tuple[int, int]]:
    """Join neighbouring frames of speech, given in ms at their ends."""
    found: list[tuple[int, int]] = []
    for at, probability in judged:
        if probability < 0.5:
            continue
        if found and at - found[-1][1] <= 32:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at - 32, at))
    return found


def sounds() -> dict[str, bytes]:
    rng = np.random.default_rng(7)
    at = np.arange(3 * SECOND) / SECOND
    return {
        "silence": bytes(6 * SECOND),
        "white noise": to_pcm16(rng.normal(size=len(at)) * 0.05),
        "mains hum": to_pcm16(0.2 * np.sin(2 * np.pi * 50 * at) + 0.05 * np.sin(2 * np.pi * 150 * at)),
        "a dial tone": to_pcm16(0.2 * np.sin(2 * np.pi * 400 * at)),
    }


def test_a_short_question_is_one_stretch_of_speech(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    judged = models.vad.stream().hear(recording("en_whats_the_weather_like.wav"))
    assert [at for at, _ in judged] == [32 * (n + 1) for n in range(len(judged))]
    ((start, end),) = spans(judged)
    assert 64 <= start <= 320
    assert 1200 <= end <= 1500


def test_a_pause_inside_a_sentence_is_shorter_than_a_turn_s_end(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    found = spans(models.vad.stream().hear(recording("en_1_tardigrades.wav")))
    pauses = [after[0] - before[1] for before, after in pairwise(found)]
    assert found
    assert max(pauses, default=0) < 500


def test_the_network_gets_the_context_it_was_trained_with(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    pcm = recording("en_1_tardigrades.wav")
    samples = Resampler(24_000, 16_000).process(from_pcm16(pcm))
    line = np.concatenate([np.zeros(64, dtype=np.float32), samples])
    state = np.zeros((2, 1, 128), dtype=np.float32)
    expected: list[float] = []
    for start in range(0, len(samples) - 511, 512):
        probability, state = models.vad.step(line[None, start : start + 576], state)
        expected.append(probability)
    judged = models.vad.stream().hear(pcm)
    assert np.allclose([probability for _, probability in judged], expected, atol=1e-3)


def test_a_read_passage_is_mostly_speech_with_a_pause_after_each_sentence(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    judged = models.vad.stream().hear(recording("ja_custom_speech.wav"))
    speech = sum(probability >= 0.5 for _, probability in judged) / len(judged)
    assert 0.75 < speech < 0.95
    found = spans(judged)
    assert sum(after[0] - before[1] >= 500 for before, after in pairwise(found)) == 2


@pytest.mark.parametrize("name", sorted(sounds()))
def test_what_is_no_speech_is_not_taken_for_it(models: SpeechModels, name: str) -> None:
    judged = models.vad.stream().hear(sounds()[name])
    assert len(judged) == 3000 // 32
    assert max(probability for _, probability in judged) < 0.5


@pytest.mark.parametrize("piece_bytes", [1, 7, 960, 4801])
def test_the_size_of_the_pieces_changes_nothing(
    models: SpeechModels, recording: Callable[[str], bytes], piece_bytes: int
) -> None:
    pcm = recording("en_whats_the_weather_like.wav")[: SECOND // (4 if piece_bytes == 1 else 1)]
    whole = models.vad.stream().hear(pcm)
    stream = models.vad.stream()
    pieces = [
        each for at in range(0, len(pcm), piece_bytes) for each in stream.hear(pcm[at : at + piece_bytes])
    ]
    assert [at for at, _ in pieces] == [at for at, _ in whole]
    assert np.allclose([p for _, p in pieces], [p for _, p in whole], atol=1e-3)


def test_two_streams_do_not_disturb_each_other(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    pcm = recording("en_whats_the_weather_like.wav")
    alone = models.vad.stream().hear(pcm)
    first, second = models.vad.stream(), models.vad.stream()
    together: list[tuple[int, float]] = []
    for at in range(0, len(pcm), 1536):
        together += first.hear(pcm[at : at + 1536])
        second.hear(sounds()["white noise"][at : at + 1536])
    assert np.allclose([p for _, p in together], [p for _, p in alone], atol=1e-3)
