"""C7: turns that the server finds in the audio."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.breakages import (
    complain,
    delay,
    drop,
    put,
    repeat,
    said,
    told_with,
    unheard,
)
from tests.contract.desk import FRAME_MS, Desk
from tests.contract.manifest import rule

from kaiwa.events import engine

STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
COMMITTED, COMMIT = "input_audio_buffer.committed", "input_audio_buffer.commit"
ADDED, DONE = "conversation.item.added", "conversation.item.done"
CREATED, RESPONSE_DONE = "response.created", "response.done"
COMPLETED = "conversation.item.input_audio_transcription.completed"
DETECTION = "session.audio.input.turn_detection"
TURN = [STARTED, STOPPED, COMMITTED, ADDED, DONE]


def detect(desk: Desk, **values: Any) -> None:
    desk.turn_detection({"type": "server_vad", **values})
    desk.frames.clear()


def say_something(desk: Desk, ms: int = 640) -> list[dict[str, Any]]:
    """A turn of the user's, long enough to be noticed at both ends."""
    return desk.speak(ms) + desk.pause(960)


@rule("K-138", broken_by=repeat(STARTED))
@rule("K-138", broken_by=delay(STARTED, until=COMMITTED))
@rule("K-138", broken_by=put(COMPLETED, "item_id", "item_another"))
@rule("K-141", broken_by=delay(STOPPED, until=COMMITTED))
@rule("K-141", broken_by=delay(DONE, until=CREATED))
@rule("K-142", broken_by=delay(CREATED, until="response.output_item.added"))
def test_a_turn_is_one_item_from_its_first_sound_to_its_words(desk: Desk) -> None:
    desk.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
    desk.frames.clear()
    frames = say_something(desk)
    assert [frame["type"] for frame in frames] == [*TURN, CREATED]
    desk.transcribe("Good morning.")
    item_id = desk.one(STARTED)["item_id"]
    named = [desk.one(kind)["item_id"] for kind in (STOPPED, COMMITTED, COMPLETED)]
    assert [*named, *(desk.one(kind)["item"]["id"] for kind in (ADDED, DONE))] == [item_id] * 5


@rule("K-142", broken_by=told_with("session.update", f"{DETECTION}.create_response", True))
@rule("K-152", broken_by=drop(CREATED))
def test_without_create_response_the_client_asks(desk: Desk) -> None:
    detect(desk, create_response=False)
    say_something(desk)
    desk.wait(30)
    assert desk.types == TURN
    desk.respond()
    desk.answer("Good morning.", audio_ms=300)
    (command,) = desk.asked_for(engine.Generate)
    assert [item.id for item in command.history] == [desk.one(COMMITTED)["item_id"]]
    assert desk.one(CREATED)["response"]["id"] == desk.one(RESPONSE_DONE)["response"]["id"]


@pytest.mark.parametrize(("quiet_ms", "padding_ms"), [(3200, 300), (3200, 0), (96, 300), (0, 300)])
@rule("K-139", broken_by=put(STARTED, "audio_start_ms", lambda ms: ms + 64))
def test_a_turn_starts_its_padding_before_its_first_sound(desk: Desk, quiet_ms: int, padding_ms: int) -> None:
    detect(desk, prefix_padding_ms=padding_ms)
    desk.pause(quiet_ms)
    desk.speak(640)
    onset_ms = quiet_ms // FRAME_MS * FRAME_MS
    assert desk.one(STARTED)["audio_start_ms"] == max(0, onset_ms - padding_ms)


@pytest.mark.parametrize("silence_ms", [200, 500, 1200])
@rule("K-140", broken_by=told_with("session.update", f"{DETECTION}.silence_duration_ms", 300))
@rule("K-140", broken_by=put(STOPPED, "audio_end_ms", lambda ms: ms - 100))
def test_a_turn_stops_after_the_silence_that_was_asked_for(desk: Desk, silence_ms: int) -> None:
    detect(desk, silence_duration_ms=silence_ms)
    desk.pause(320)
    desk.speak(640)
    ended_ms = desk.audio_ms
    desk.pause(2000)
    waited_ms = desk.one(STOPPED)["audio_end_ms"] - ended_ms
    assert abs(waited_ms - silence_ms) <= 64


@rule("K-145", broken_by=told_with("session.update", f"{DETECTION}.silence_duration_ms", 200))
def test_a_longer_silence_joins_two_phrases(desk: Desk) -> None:
    detect(desk, silence_duration_ms=900)
    desk.speak(640)
    desk.pause(640)
    say_something(desk)
    assert desk.types == [*TURN, CREATED]
    (commit,) = desk.asked_for(engine.Commit)
    assert (commit.start_ms, commit.end_ms) == (0, desk.one(STOPPED)["audio_end_ms"])


@rule("K-147", broken_by=repeat(COMMITTED))
@rule("K-147", broken_by=unheard(COMMIT))
@rule("K-147", broken_by=put(COMMITTED, "item_id", "item_another"))
def test_a_commit_by_hand_ends_the_turn_and_no_second_one_follows(desk: Desk) -> None:
    desk.pause(320)
    desk.speak(640)
    spoken_ms = desk.audio_ms
    assert [frame["type"] for frame in desk.commit()] == [STOPPED, COMMITTED, ADDED, DONE]
    desk.pause(2000)
    assert desk.one(COMMITTED)["item_id"] == desk.one(STARTED)["item_id"]
    (commit,) = desk.asked_for(engine.Commit)
    assert (commit.start_ms, commit.end_ms) == (0, spoken_ms)


@rule("K-150", broken_by=put(STARTED, "item_id", "item_000000000000000000001"))
@rule("K-150", broken_by=put(STARTED, "audio_start_ms", 0))
@rule("K-155", broken_by=put(STARTED, "audio_start_ms", lambda ms: ms % 1000))
@rule("K-155", broken_by=put(STOPPED, "audio_end_ms", 840, nth=2))
def test_the_clock_of_the_audio_never_starts_again(desk: Desk) -> None:
    onsets = []
    for break_ in (None, "input_audio_buffer.clear", None):
        desk.pause(480)
        onsets.append(desk.audio_ms)
        say_something(desk)
        desk.answer("Yes.", audio_ms=100)
        desk.wait(1)
        if break_:
            desk.append(320)
            desk.send({"type": break_})
    started, stopped = desk.of(STARTED), desk.of(STOPPED)
    assert [frame["audio_start_ms"] for frame in started] == [onset - 300 for onset in onsets]
    assert [frame["audio_end_ms"] for frame in stopped] == [onset + 640 + 224 for onset in onsets]
    assert len({frame["item_id"] for frame in started}) == 3


@rule("K-151", broken_by=unheard("session.update"))
def test_detection_can_be_switched_off_at_any_moment(desk: Desk) -> None:
    desk.speak(640)
    assert desk.types[-1] == STARTED
    desk.turn_detection(None)
    begin = len(desk.frames)
    desk.speak(320)
    say_something(desk)
    assert desk.types[begin:] == []


@rule("K-153", broken_by=told_with("session.update", f"{DETECTION}.interrupt_response", False))
@rule("K-153", broken_by=put(RESPONSE_DONE, "response.status_details.reason", "client_cancelled"))
@rule("K-153", broken_by=delay(RESPONSE_DONE, until=STOPPED))
def test_speech_interrupts_a_response_in_text(desk: Desk) -> None:
    detect(desk, interrupt_response=True)
    desk.respond(output_modalities=["text"])
    desk.words("Once upon a time")
    desk.speak(320)
    response = desk.one(RESPONSE_DONE)["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert desk.types.index(STARTED) < desk.types.index(RESPONSE_DONE)
    assert [command.response_id for command in desk.asked_for(engine.Stop)] == [response["id"]]


@rule("K-154", broken_by=complain(COMMITTED))
@rule("K-154", broken_by=told_with("session.update", f"{DETECTION}.interrupt_response", True))
@rule("K-154", broken_by=said(lambda frame: [frame, {"type": CREATED, "event_id": "event_x"}], COMMITTED))
def test_speech_beside_a_response_that_goes_on_asks_for_no_second_one(desk: Desk) -> None:
    detect(desk, interrupt_response=False)
    desk.respond()
    desk.words("Once upon a time", audio_ms=300)
    say_something(desk)
    desk.answer(" there was a boy.", audio_ms=300)
    desk.wait(10)
    assert len(desk.of(CREATED)) == len(desk.asked_for(engine.Generate)) == 1
    assert desk.one(RESPONSE_DONE)["response"]["status"] == "completed"
    assert [kind for kind in desk.types if kind in TURN[:3]] == TURN[:3]
    assert not desk.of("error")
