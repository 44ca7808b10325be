"""C6 and C7 with real recordings, the real voice detector and the real recognition.

`Ears` takes the place of the engine that the desk plays: it judges and writes down what the session hands on.
The recording that K-149 names is not ours to carry; another sentence of one breath stands in for it.
"""

from __future__ import annotations

import base64
import re
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contract.breakages import Breakage, drop, put, told, told_with
from tests.contract.desk import Desk
from tests.contract.manifest import rule

from kaiwa.audio.formats import encoder_for
from kaiwa.engines.recall import Recall
from kaiwa.engines.speech.recognition import Recognizer
from kaiwa.engines.speech.resampling import HOUSE_RATE_HZ, from_pcm16, resample, to_pcm16
from kaiwa.engines.speech.vad import VoiceActivityModel
from kaiwa.events import engine
from kaiwa.events.config import PcmaFormat, PcmuFormat
from kaiwa.events.usage import DurationUsage

RECORDINGS = Path(__file__).parents[1] / "data" / "audio"
APPEND = "input_audio_buffer.append"
STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
COMMITTED, CREATED = "input_audio_buffer.committed", "response.created"
COMPLETED = "conversation.item.input_audio_transcription.completed"
DETECTION = "session.audio.input.turn_detection"
BYTES_PER_MS = 48


def quiet(ms: int) -> bytes:
    return bytes(ms * BYTES_PER_MS)


def recording(name: str) -> bytes:
    """Return a recording as PCM16 at 24 kHz."""
    with wave.open(str(RECORDINGS / name)) as stream:
        samples = from_pcm16(stream.readframes(stream.getnframes()))
        return to_pcm16(resample(samples, stream.getframerate(), HOUSE_RATE_HZ))


WEATHER = recording("en_whats_the_weather_like.wav")
TARDIGRADES = recording("en_1_tardigrades.wav")


def from_afar(pcm: bytes) -> bytes:
    """A voice in the next room: a murmur hardly louder than the noise of this one."""
    samples = from_pcm16(pcm)
    noise = np.random.default_rng(3).normal(size=len(samples)) * 0.002
    return to_pcm16((samples * 0.01 + noise).astype(np.float32))


@pytest.fixture(scope="session")
def voices() -> VoiceActivityModel:
    return VoiceActivityModel()


@pytest.fixture(scope="session")
def words(voices: VoiceActivityModel, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer(gate=voices, cache=tmp_path_factory.mktemp("models"))


class Ears:
    """A desk that hears. `tell` sends audio in frames of a size and lets the models judge it."""

    def __init__(self, desk: Desk, voices: VoiceActivityModel, words: Recognizer | None = None) -> None:
        self.desk = desk
        self.recall = Recall()
        self._stream = voices.stream()
        self._words = words
        self._carried_out = 0

    def tell(self, audio: bytes, frame_bytes: int | None = None) -> None:
        size = frame_bytes or len(audio)
        for start in range(0, len(audio), size):
            piece = base64.b64encode(audio[start : start + size]).decode()
            self.desk.send({"type": APPEND, "audio": piece})
            self.attend()

    def commit(self) -> str:
        """Commit by hand; return what was understood."""
        self.desk.commit()
        self.attend()
        assert self.desk.of(COMPLETED), self.desk.types
        return self.desk.last(COMPLETED)["transcript"]

    def attend(self) -> None:
        """Do what the session asked of its engine."""
        for command in self._asked():
            match command:
                case engine.Hear(pcm=pcm):
                    self.recall.hear(pcm)
                    for at_ms, probability in self._stream.hear(pcm):
                        self.desk.engine_says(engine.VoiceActivity(audio_ms=at_ms, probability=probability))
                case engine.Commit():
                    self.recall.commit(command)
                case engine.Discard():
                    self.recall.discard(command)
                case engine.Transcribe(item_id=item_id):
                    self._write_down(item_id)
                case _:
                    pass

    def _asked(self) -> Iterator[Any]:
        while self._carried_out < len(self.desk.asked):
            self._carried_out += 1
            yield self.desk.asked[self._carried_out - 1]

    def _write_down(self, item_id: str) -> None:
        assert self._words is not None, "this test asks for words"
        text = self._words.transcribe(self.recall.item(item_id), language="en").text
        self.desk.engine_says(
            engine.TranscriptDone(item_id=item_id, text=text, usage=DurationUsage(seconds=1))
        )


def session(planted: Breakage | None, detection: dict[str, Any] | None, **audio: Any) -> Desk:
    """A session that writes down what it hears; nothing is said yet."""
    desk = Desk(planted)
    desk.update(audio={"input": {"turn_detection": detection, "transcription": {"model": "w"}, **audio}})
    desk.frames.clear()
    return desk


def plain(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower())


def too_small_to_keep(frame: dict[str, Any]) -> list[dict[str, Any]]:
    return [] if len(frame["audio"]) < 400 else [frame]


@rule("K-134", broken_by=told(too_small_to_keep, APPEND))
@rule("K-134", broken_by=put(COMPLETED, "transcript", "What is the weather?", nth=3))
def test_the_size_of_the_frames_changes_no_word(
    planted: Breakage | None, voices: VoiceActivityModel, words: Recognizer
) -> None:
    ears = Ears(session(planted, None), voices, words)
    understood = []
    for frame_ms in (4, 20, 333, 10_000):
        ears.tell(WEATHER, frame_ms * BYTES_PER_MS)
        understood.append(ears.commit())
    assert [plain(text) for text in understood] == ["whats the weather like"] * 4


def at_most_a_second(frame: dict[str, Any]) -> list[dict[str, Any]]:
    kept = base64.b64decode(frame["audio"])[: 1000 * BYTES_PER_MS]
    return [{**frame, "audio": base64.b64encode(kept).decode()}]


@rule("K-135", broken_by=told(at_most_a_second, APPEND))
def test_a_whole_sentence_may_come_in_one_frame(
    planted: Breakage | None, voices: VoiceActivityModel, words: Recognizer
) -> None:
    ears = Ears(session(planted, None), voices, words)
    ears.tell(TARDIGRADES)
    assert plain(ears.commit()) == "tell me a story about tardigrades"


@pytest.mark.parametrize("format", [PcmuFormat(), PcmaFormat()])
@rule("K-136", broken_by=told_with("session.update", "session.audio.input.format", {"type": "audio/pcm"}))
def test_telephone_audio_is_understood(
    planted: Breakage | None, voices: VoiceActivityModel, words: Recognizer, format: Any
) -> None:
    name = "audio/pcmu" if isinstance(format, PcmuFormat) else "audio/pcma"
    ears = Ears(session(planted, None, format={"type": name}), voices, words)
    encoder = encoder_for(format)
    wire = encoder.push(WEATHER) + encoder.flush()
    assert len(wire) == len(WEATHER) // 6
    ears.tell(wire, 160)
    assert plain(ears.commit()) == "whats the weather like"


SENTENCE = base64.b64encode(WEATHER).decode()


@rule("K-143", broken_by=told_with(APPEND, "audio", SENTENCE))
def test_nothing_is_said_about_silence(planted: Breakage | None, voices: VoiceActivityModel) -> None:
    ears = Ears(session(planted, {"type": "server_vad"}), voices)
    hiss = np.random.default_rng(1).normal(size=3 * HOUSE_RATE_HZ) * 0.001
    ears.tell(quiet(5000) + to_pcm16(hiss.astype(np.float32)) + quiet(2000), 200 * BYTES_PER_MS)
    assert ears.desk.types == []


@rule("K-144", broken_by=told_with("session.update", f"{DETECTION}.prefix_padding_ms", 0))
def test_what_was_heard_just_before_the_voice_belongs_to_the_turn(
    planted: Breakage | None, voices: VoiceActivityModel
) -> None:
    told_pcm = quiet(3000) + WEATHER + quiet(1000)
    bare = {"type": "server_vad", "prefix_padding_ms": 0}
    onset = Ears(session(None, bare, transcription=None), voices)
    padded = Ears(session(planted, bare | {"prefix_padding_ms": 500}, transcription=None), voices)
    for ears in (onset, padded):
        ears.tell(told_pcm, 20 * BYTES_PER_MS)
    onset_ms = onset.desk.one(STARTED)["audio_start_ms"]
    assert 3000 <= onset_ms <= 3400
    kept = padded.recall.item(padded.desk.one(COMMITTED)["item_id"])
    begin, end = ((onset_ms - 500) * BYTES_PER_MS, padded.desk.one(STOPPED)["audio_end_ms"] * BYTES_PER_MS)
    assert kept == told_pcm[begin:end]


@rule("K-146", broken_by=told_with("session.update", f"{DETECTION}.threshold", 0.9))
@rule("K-146", broken_by=told_with("session.update", f"{DETECTION}.threshold", 0.1))
def test_the_threshold_says_how_quiet_a_voice_may_be(
    planted: Breakage | None, voices: VoiceActivityModel
) -> None:
    noticed = []
    for threshold in (0.1, 0.9):
        detection = {"type": "server_vad", "threshold": threshold, "silence_duration_ms": 2000}
        ears = Ears(session(planted, detection), voices)
        ears.tell(from_afar(WEATHER), 20 * BYTES_PER_MS)
        noticed.append(STARTED in ears.desk.types)
    assert noticed == [True, False]


@rule("K-148", broken_by=drop(STARTED))
@rule("K-148", broken_by=told_with("session.update", f"{DETECTION}.create_response", False))
def test_a_burst_with_short_pauses_begins_a_turn_and_is_answered(
    planted: Breakage | None, voices: VoiceActivityModel, words: Recognizer
) -> None:
    ears = Ears(session(planted, {"type": "server_vad"}), voices, words)
    ears.tell(TARDIGRADES)
    assert [kind for kind in ears.desk.types if kind in (STARTED, CREATED)] == [STARTED, CREATED]
    assert plain(ears.desk.one(COMPLETED)["transcript"]) == "tell me a story about tardigrades"


@rule("K-149", broken_by=drop(STOPPED))
@rule("K-149", broken_by=told_with("session.update", f"{DETECTION}.silence_duration_ms", 4000))
def test_a_short_sentence_and_two_seconds_of_silence_are_a_turn(
    planted: Breakage | None, voices: VoiceActivityModel, words: Recognizer
) -> None:
    ears = Ears(session(planted, {"type": "server_vad"}), voices, words)
    ears.tell(WEATHER + quiet(2000), 20 * BYTES_PER_MS)
    assert ears.desk.types[:3] == [STARTED, STOPPED, COMMITTED]
    assert plain(ears.desk.one(COMPLETED)["transcript"]) == "whats the weather like"
