"""C8: turns that end when they sound complete, and silences that are answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.breakages import Breakage, answered, drop, put, told_with
from tests.contract.desk import Desk
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events import engine

STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
COMMITTED, TIMED_OUT = "input_audio_buffer.committed", "input_audio_buffer.timeout_triggered"
DETECTION = "session.audio.input.turn_detection"
LONGEST_MS = {"high": 2000, "medium": 4000, "low": 8000}


def semantic(planted: Breakage | None, **settings: Any) -> Desk:
    desk = Desk(planted)
    desk.turn_detection({"type": "semantic_vad", **settings})
    return desk


def waited_ms(desk: Desk, likelihood: float) -> int:
    """Say something, let it be judged in the pause, and return how much silence ended the turn."""
    desk.speak(960)
    spoken_ms = desk.audio_ms
    desk.pause(160)
    pause = desk.asked_for(engine.Prepare)[-1]
    judgement = engine.TurnLikelihood(item_id=pause.item_id, audio_ms=pause.end_ms, probability=likelihood)
    desk.engine_says(judgement)
    while not desk.of(STOPPED) and desk.audio_ms < 20_000:
        desk.pause(32)
    return int(desk.one(STOPPED)["audio_end_ms"]) - spoken_ms


@rule("K-156", broken_by=drop(STOPPED))
def test_a_semantic_turn_has_the_events_of_any_other(planted: Breakage | None) -> None:
    plain, by_sense = Desk(), semantic(planted)
    for desk in (plain, by_sense):
        desk.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        desk.speak(960)
        desk.pause(2016)
        desk.transcribe("Hello.")
        desk.answer("Hi.", audio_ms=200)
    assert by_sense.types[by_sense.types.index(STARTED) :] == plain.types[plain.types.index(STARTED) :]


@rule("K-157", broken_by=put(STOPPED, "audio_end_ms", 3000))
@any_input
@given(
    eagerness=st.sampled_from(sorted(LONGEST_MS)),
    complete=st.floats(0.5, 1.0),
    trailing_off=st.floats(0.0, 0.19),
)
def test_a_sentence_that_trails_off_is_waited_for_longer(
    planted: Breakage | None, eagerness: str, complete: float, trailing_off: float
) -> None:
    at_once = waited_ms(semantic(planted, eagerness=eagerness), complete)
    patiently = waited_ms(semantic(planted, eagerness=eagerness), trailing_off)
    assert at_once < patiently <= LONGEST_MS[eagerness]


@rule("K-158", broken_by=told_with("session.update", f"{DETECTION}.eagerness", "low"))
@pytest.mark.parametrize("likelihood", [0.05, 0.3, 0.95])
def test_auto_is_as_eager_as_medium(planted: Breakage | None, likelihood: float) -> None:
    medium = waited_ms(semantic(None, eagerness="medium"), likelihood)
    assert waited_ms(semantic(planted, eagerness="auto"), likelihood) == medium
    assert waited_ms(semantic(None, eagerness="low"), likelihood) > medium


@rule("K-159", broken_by=told_with("session.update", f"{DETECTION}.type", "server_vad"))
def test_semantic_vad_knows_no_idle_timeout(desk: Desk) -> None:
    desk.turn_detection({"type": "semantic_vad", "idle_timeout_ms": 5000})
    assert desk.one("error")["error"]["param"] == f"{DETECTION}.idle_timeout_ms"
    desk.respond()
    desk.answer("Hello?", audio_ms=200)
    desk.wait(60)
    assert not desk.of(TIMED_OUT)


def asked_and_waiting(desk: Desk, audio_ms: int) -> None:
    """The agent has asked something, and five seconds of silence after it are too many."""
    desk.turn_detection({"type": "server_vad", "idle_timeout_ms": 5000})
    desk.respond()
    desk.answer("Where would you like to go?", audio_ms=audio_ms)


@rule("K-160", broken_by=answered(lambda audio: [], engine.AudioDelta))
@rule("K-161", broken_by=put(COMMITTED, "item_id", "item_of_another_turn"))
def test_silence_after_the_answer_was_heard_is_a_turn_of_its_own(desk: Desk) -> None:
    asked_and_waiting(desk, audio_ms=2000)
    assert desk.pause(6880) == []
    timed_out, committed, added, done, created = desk.pause(256)
    assert timed_out["type"] == TIMED_OUT and committed["type"] == COMMITTED
    assert timed_out["audio_end_ms"] - timed_out["audio_start_ms"] == 5000
    assert timed_out["item_id"] == committed["item_id"] == added["item"]["id"] == done["item"]["id"]
    assert created["type"] == "response.created"


@rule("K-162", broken_by=answered(lambda frame: [], engine.VoiceActivity))
def test_speech_calls_the_timeout_off(desk: Desk) -> None:
    asked_and_waiting(desk, audio_ms=200)
    desk.pause(4000)
    desk.speak(4000)
    assert not desk.of(TIMED_OUT)


@rule("K-163", broken_by=told_with("session.update", f"{DETECTION}.idle_timeout_ms", 5000))
@any_input
@given(wrong=st.integers(-(10**9), 4999) | st.integers(30_001, 10**9))
def test_an_idle_timeout_is_five_to_thirty_seconds(planted: Breakage | None, wrong: int) -> None:
    desk = Desk(planted)
    desk.turn_detection({"type": "server_vad", "idle_timeout_ms": wrong})
    error = desk.one("error")["error"]
    assert (error["code"], error["param"]) == ("invalid_value", f"{DETECTION}.idle_timeout_ms")
    for right in (5000, 30_000, None):
        desk.turn_detection({"type": "server_vad", "idle_timeout_ms": right})
    assert len(desk.of("session.updated")) == 3
