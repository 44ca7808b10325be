"""The real models, loaded once, and the real recordings as house audio."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kaiwa.engines.speech.models import SpeechModels, SpeechSettings, load_speech_models
from kaiwa.engines.speech.resampling import HOUSE_RATE_HZ, from_pcm16, resample, to_pcm16

RECORDINGS = Path(__file__).parents[2] / "data" / "audio"


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kaiwa-models-") as place:
        yield Path(place)


@pytest.fixture(scope="session")
def models(cache: Path) -> SpeechModels:
    return load_speech_models(SpeechSettings(cache_directory=cache))


@pytest.fixture(scope="session")
def recording() -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        with wave.open(str(RECORDINGS / name)) as stream:
            samples = from_pcm16(stream.readframes(stream.getnframes()))
            return to_pcm16(resample(samples, stream.getframerate(), HOUSE_RATE_HZ))

    return read
