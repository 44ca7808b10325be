"""Our voices: chunks, loudness, pauses, names, speed."""

from __future__ import annotations

import numpy as np
import pytest

from kaiwa.engines.speech.english import EnglishVoice
from kaiwa.engines.speech.models import SpeechModels
from kaiwa.engines.speech.resampling import from_pcm16
from kaiwa.engines.speech.synthesis import LocalSynthesizer, cut_chunks, voices
from kaiwa.engines.speech.voices import find_voice
from kaiwa.errors import ConfigError

OPENAI_VOICES = [
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
]
BYTES_PER_MS = 48


def level_db(pcm: bytes) -> float:
    samples = from_pcm16(pcm)
    blocks = samples[: len(samples) // 240 * 240].reshape(-1, 240)
    power = np.square(blocks).mean(axis=1)
    return float(10 * np.log10(power[power > 1e-4].mean()))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("はい。", "ja"),
        ("かしこまりました。来週の土曜日、東京駅で10:00からですね。", "ja"),
        ("Certainly. Your number is R-001.", "en"),
    ],
)
def test_chunks_are_100_to_400_ms_and_even(models: SpeechModels, text: str, language: str) -> None:
    chunks = list(models.synthesizer.speak(text, language=language))
    assert chunks
    assert all(100 <= len(chunk) / BYTES_PER_MS <= 400 for chunk in chunks)
    assert all(len(chunk) % 2 == 0 for chunk in chunks)


@pytest.mark.parametrize("size", [2, 4_800, 9_600, 14_398, 14_400, 19_200, 100_002])
def test_cutting_loses_no_sample(size: int) -> None:
    pcm = bytes(range(256)) * (size // 256 + 1)
    pcm = pcm[:size]
    chunks = list(cut_chunks(pcm))
    assert b"".join(chunks)[:size] == pcm
    assert all(4_800 <= len(chunk) <= 14_400 for chunk in chunks)


@pytest.mark.parametrize("text", ["", " ", "。", "……", "😀"])
def test_a_text_without_words_is_not_spoken(models: SpeechModels, text: str) -> None:
    assert list(models.synthesizer.speak(text)) == []


def test_speech_begins_at_once_and_ends_with_a_pause(models: SpeechModels) -> None:
    samples = from_pcm16(b"".join(models.synthesizer.speak("承知しました。", language="ja")))
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    assert loud[0] < 0.04 * 24_000
    assert 0.25 * 24_000 < len(samples) - loud[-1] < 0.45 * 24_000


def test_all_voices_are_about_as_loud(models: SpeechModels) -> None:
    levels = [
        level_db(b"".join(models.synthesizer.speak(text, voice=voice)))
        for voice in ("marin", "cedar")
        for text in (
            "来週の土曜日、東京駅ですね。",
            "Certainly, your reservation is confirmed for November 28.",
        )
    ]
    assert all(-22 < level < -14 for level in levels), levels


def test_no_sample_is_clipped(models: SpeechModels) -> None:
    samples = from_pcm16(b"".join(models.synthesizer.speak("ああ、ありがとうございます！", voice="onyx")))
    assert np.abs(samples).max() <= 0.96


@pytest.mark.parametrize("name", OPENAI_VOICES)
def test_every_voice_name_of_the_realtime_api_is_one_of_ours(name: str) -> None:
    assert find_voice(name).name == name
    assert name in {voice.name for voice in voices()}


def test_an_unknown_voice_and_none_are_the_default() -> None:
    assert find_voice("nobody") == find_voice(None) == voices()[0]


def test_the_lower_voices_sound_lower(models: SpeechModels) -> None:
    def pitch_hz(voice: str) -> float:
        samples = from_pcm16(b"".join(models.synthesizer.speak("あああああ。", voice=voice, language="ja")))
        middle = samples[4_800:14_400]
        echo = np.correlate(middle, middle, "full")[len(middle) - 1 :]
        low, high = 24_000 // 500, 24_000 // 70
        return 24_000 / (low + int(echo[low:high].argmax()))

    assert pitch_hz("cedar") < 0.85 * pitch_hz("marin")


@pytest.mark.parametrize(
    ("text", "language"),
    [("東京駅でお待ちしております。", "ja"), ("We are waiting at Tokyo station.", "en")],
)
def test_speed_changes_the_length(models: SpeechModels, text: str, language: str) -> None:
    def length(speed: float) -> int:
        return sum(map(len, models.synthesizer.speak(text, speed=speed, language=language)))

    assert length(1.5) < 0.8 * length(1.0) < 0.8 * length(0.7)


def test_a_japanese_clause_in_an_english_session_is_spoken_in_japanese(models: SpeechModels) -> None:
    assert list(models.synthesizer.speak("東京駅です。", language="en"))


def test_a_phrase_is_rendered_once(models: SpeechModels) -> None:
    first = list(models.synthesizer.speak("お待たせしました。", language="ja"))
    assert list(models.synthesizer.speak("お待たせしました。", language="ja")) == first


def test_espeak_stands_in_for_flite() -> None:
    voice = EnglishVoice("espeak-ng", "/usr/bin/espeak-ng")
    spoken = voice.render("Hello there.", find_voice("cedar"), 1.0)
    assert 0.5 < len(spoken) / 24_000 < 3


def test_a_missing_english_voice_names_the_package() -> None:
    speaker = LocalSynthesizer(which=lambda program: None)
    assert not speaker.has_english
    assert list(speaker.speak("はい。"))
    with pytest.raises(ConfigError, match="apt-get install flite"):
        list(speaker.speak("Hello."))
