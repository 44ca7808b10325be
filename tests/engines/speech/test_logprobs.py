"""How sure the network says it is, token by token."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kaiwa.engines.speech.models import SpeechModels


@pytest.mark.parametrize(
    ("name", "language"), [("en_whats_the_weather_like.wav", "en"), ("ja_custom_speech.wav", "ja")]
)
def test_the_tokens_make_up_the_text_and_are_as_sure_as_the_whole(
    models: SpeechModels, recording: Callable[[str], bytes], name: str, language: str
) -> None:
    heard = models.recognizer.transcribe(recording(name), language=language, logprobs=True)
    assert heard.logprobs
    assert b"".join(bytes(token.bytes) for token in heard.logprobs).decode() == heard.text
    chances = [token.logprob for token in heard.logprobs]
    assert max(chances) <= 0
    assert sum(chances) / len(chances) == pytest.approx(heard.confidence, abs=0.15)


def test_logprobs_are_only_computed_when_asked_for(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    assert models.recognizer.transcribe(recording("en_whats_the_weather_like.wav")).logprobs is None
    assert models.recognizer.transcribe(bytes(48_000), logprobs=True).logprobs == ()
