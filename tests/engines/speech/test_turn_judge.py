"""Words lead, melody is asked only in doubt."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kaiwa.engines.speech.models import SpeechModels
from kaiwa.engines.speech.turns import SmartTurn, TurnJudge, turn_completeness


class CountingMelody(SmartTurn):
    """The real network, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def probability(self, pcm: bytes) -> float:
        self.asked += 1
        return super().probability(pcm)


@pytest.fixture(scope="module")
def melody() -> CountingMelody:
    return CountingMelody()


def test_words_beyond_doubt_spare_the_network(melody: CountingMelody) -> None:
    judge, before = TurnJudge(melody), melody.asked
    assert judge.likelihood("東京駅でお願いします", "ja", pcm=bytes(48_000)) > 0.7
    assert judge.likelihood("東京駅で", "ja", pcm=bytes(48_000)) < 0.3
    assert melody.asked == before


def test_doubtful_words_ask_the_network_and_move_towards_it(
    melody: CountingMelody, recording: Callable[[str], bytes]
) -> None:
    pcm = recording("en_1_tardigrades.wav")[: 3 * 48_000]
    judge, before = TurnJudge(melody), melody.asked
    by_words = turn_completeness("tardigrades", "en")
    assert melody.probability(pcm) > 0.9
    assert by_words < judge.likelihood("tardigrades", "en", pcm=pcm) < 0.9
    assert melody.asked == before + 2


def test_without_audio_or_network_the_words_decide(melody: CountingMelody) -> None:
    text = "予約"
    assert TurnJudge().likelihood(text, "ja", pcm=bytes(4_800)) == turn_completeness(text, "ja")
    assert TurnJudge(melody).likelihood(text, "ja") == turn_completeness(text, "ja")


@pytest.mark.parametrize("length", [0, 2, 4_800, 20 * 48_000])
def test_audio_of_any_length_is_judged(melody: CountingMelody, length: int) -> None:
    assert 0.0 <= melody.probability(bytes(length)) <= 1.0


def test_the_loaded_bundle_judges_what_it_recognised(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    pcm = recording("en_whats_the_weather_like.wav")
    heard = models.recognizer.transcribe(pcm)
    assert models.turns.likelihood(heard.text, heard.language, pcm=pcm) > 0.9
