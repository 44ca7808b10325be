"""What was said, by people and by our own voices; and that nothing is heard where nothing was said."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kaiwa.engines.speech.models import SpeechModels
from kaiwa.engines.speech.recognition import Recognizer
from kaiwa.engines.speech.resampling import from_pcm16, to_pcm16
from kaiwa.errors import ConfigError

SECOND = 24_000
PROMPT = "レンタカーの予約を受け付けています。山田太郎様、東京駅、コンパクトカー。"


def bare(text: str) -> str:
    return re.sub(r"[\s、。，．,.!?！？・]", "", text).lower()


def edits(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1]


def nothing_said() -> dict[str, bytes]:
    rng = np.random.default_rng(3)
    at = np.arange(3 * SECOND) / SECOND
    return {
        "empty": b"",
        "silence": bytes(6 * SECOND),
        "a click": bytes(SECOND) + b"\xff\x7f" * 20 + bytes(SECOND),
        "quiet noise": to_pcm16(rng.normal(size=len(at)) * 0.003),
        "noise": to_pcm16(rng.normal(size=len(at)) * 0.05),
        "hum": to_pcm16(0.2 * np.sin(2 * np.pi * 50 * at)),
    }


@pytest.mark.parametrize("language", ["ja", "en", None])
@pytest.mark.parametrize("name", sorted(nothing_said()))
def test_nothing_is_heard_where_nothing_was_said(
    models: SpeechModels, name: str, language: str | None
) -> None:
    heard = models.recognizer.transcribe(nothing_said()[name], language=language, prompt=PROMPT)
    assert heard.text == ""


@pytest.mark.parametrize("name", ["silence", "noise", "hum"])
def test_the_network_s_own_doubt_is_enough_without_a_gate(
    models: SpeechModels, cache: Path, name: str
) -> None:
    ungated = Recognizer(cache=cache)
    assert ungated.transcribe(nothing_said()[name], language="ja").text == ""


@pytest.mark.parametrize("language", ["en", "en-US", None, "xx", ""])
def test_a_person_s_english_question_is_written_down(
    models: SpeechModels, recording: Callable[[str], bytes], language: str | None
) -> None:
    heard = models.recognizer.transcribe(recording("en_whats_the_weather_like.wav"), language=language)
    assert heard.language == "en"
    assert bare(heard.text).replace("’", "'") == "what'stheweatherlike"
    assert heard.no_speech_probability < 0.1
    assert heard.confidence > -0.3
    assert heard.seconds == pytest.approx(2.03, abs=0.01)


def test_a_person_s_sentence_with_a_pause_is_one_sentence(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    heard = models.recognizer.transcribe(recording("en_1_tardigrades.wav"))
    assert "tardigrades" in heard.text.lower()


def test_a_quiet_voice_is_heard(models: SpeechModels, recording: Callable[[str], bytes]) -> None:
    quiet = to_pcm16(0.03 * from_pcm16(recording("en_1_tardigrades.wav")))
    assert "tardigrades" in models.recognizer.transcribe(quiet).text.lower()


def test_a_japanese_reader_is_written_down_with_few_wrong_characters(
    models: SpeechModels,
    recording: Callable[[str], bytes],
    record_property: Callable[[str, object], None],
) -> None:
    pcm = recording("ja_custom_speech.wav")
    heard = models.recognizer.transcribe(pcm[: 10 * 2 * SECOND])
    reference = bare(
        "カスタムスピーチには、オーディオデータを対応する認識結果と比較することによって、"
        "モデルの認識品質を視覚的に検査するツールがあります。"
    )
    rate = edits(reference, bare(heard.text)[: len(reference) + 8]) / len(reference)
    record_property("character_error_rate", rate)
    assert heard.language == "ja"
    assert rate < 0.15, f"{rate:.3f}: {heard.text}"


def test_audio_over_28_s_is_cut_at_a_pause_and_written_down_whole(
    models: SpeechModels, recording: Callable[[str], bytes]
) -> None:
    pcm = recording("ja_custom_speech.wav")
    heard = models.recognizer.transcribe(
        pcm + recording("en_whats_the_weather_like.wav"), language="ja", effort="draft"
    )
    assert "音声変換モデル" in heard.text
    assert heard.text.count("検査") == 2
    assert len(heard.text) > 170


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("来週の土曜日に車を借りたいです。", ("来週", "土曜")),
        ("朝10時から18時まででお願いします。", ("10時", "18時")),
        ("二泊三日で予約したいです。", ("3日",)),
        ("東京駅でお願いします。", ("東京駅",)),
        ("予約番号はR-001です。", ("001",)),
        ("はい、お願いします。", ("はい", "お願い")),
    ],
)
def test_what_our_japanese_voice_says_our_ear_writes_down(
    models: SpeechModels, said: str, expected: tuple[str, ...]
) -> None:
    pcm = b"".join(models.synthesizer.speak(said, language="ja"))
    heard = models.recognizer.transcribe(pcm, language="ja")
    assert all(word in heard.text for word in expected), heard.text


def test_what_our_english_voice_says_our_ear_writes_down(models: SpeechModels) -> None:
    pcm = b"".join(models.synthesizer.speak("Your car is ready at ten o'clock on 2026-11-28.", language="en"))
    heard = models.recognizer.transcribe(pcm, language="en").text.lower()
    assert "car" in heard
    assert "november" in heard
    assert "28" in heard or "twenty-eight" in heard


def test_words_likely_to_be_said_are_heard_rather_than_their_like(models: SpeechModels) -> None:
    pcm = b"".join(models.synthesizer.speak("コンパクトカーで。", language="ja"))
    heard = models.recognizer.transcribe(pcm, language="ja", vocabulary=("コンパクトカー", "SUV", "ミニバン"))
    assert "コンパクト" in heard.text


def test_a_directory_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"speech\.recognition_model"):
        Recognizer(tmp_path)
