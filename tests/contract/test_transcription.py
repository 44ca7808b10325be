"""C9: the user's words, written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.breakages import Breakage, drop, insert, put, repeat, told_with, told_without, without
from tests.contract.desk import Desk, silence
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events import engine
from kaiwa.events.logprobs import TokenLogprob
from kaiwa.events.response import FailureDetail
from kaiwa.events.usage import DurationUsage, TokenTranscriptionUsage

TOLD = "conversation.item.input_audio_transcription"
COMPLETED, FAILED, DELTA = f"{TOLD}.completed", f"{TOLD}.failed", f"{TOLD}.delta"
SETTING = "session.audio.input.transcription"
HEARD = FailureDetail(type="transcription_error", code=None, message="The audio could not be transcribed.")
SURE = (TokenLogprob(token="Hi", logprob=-0.25, bytes=(72, 105)),)


@pytest.fixture
def listening(desk: Desk) -> Desk:
    """A desk that was asked to write down what it hears; turns are the peer's."""
    desk.update(audio={"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}})
    return desk


def speak(desk: Desk) -> str:
    """Commit half a second of audio and return the id of its item."""
    desk.append(500)
    desk.commit()
    return str(desk.last("input_audio_buffer.committed")["item_id"])


def fail(desk: Desk, item_id: str) -> None:
    desk.engine_says(engine.TranscriptFailed(item_id=item_id, error=HEARD))


@rule("K-164", broken_by=repeat(COMPLETED, nth=1))
def test_every_piece_of_audio_has_one_outcome(listening: Desk) -> None:
    spoken = [speak(listening), speak(listening)]
    part = {"type": "input_audio", "audio": silence(300)}
    listening.item({"type": "message", "role": "user", "content": [part], "id": "item_whole"})
    for item_id in spoken:
        fail(listening, item_id)
    listening.transcribe("Hello.")
    for item_id in (*spoken, "item_whole"):
        again = engine.TranscriptDone(item_id=item_id, text="Again.", usage=DurationUsage(seconds=1))
        listening.engine_says(again)
    outcomes = [(frame["type"], frame["item_id"]) for frame in listening.frames if TOLD in frame["type"]]
    assert outcomes == [(FAILED, spoken[0]), (FAILED, spoken[1]), (COMPLETED, "item_whole")]


@rule("K-165", broken_by=without(COMPLETED, "usage"))
@rule("K-166", broken_by=put(COMPLETED, "usage.type", "words"))
def test_a_transcript_is_complete_with_its_price(listening: Desk) -> None:
    by_token = TokenTranscriptionUsage(total_tokens=12, input_tokens=10, output_tokens=2)
    for usage in (DurationUsage(seconds=1), by_token):
        listening.engine_says(engine.TranscriptDone(item_id=speak(listening), text="Hi.", usage=usage))
    by_second, counted = listening.of(COMPLETED)
    for frame in (by_second, counted):
        assert set(frame) == {"type", "event_id", "item_id", "content_index", "transcript", "usage"}
        assert (frame["content_index"], frame["transcript"]) == (0, "Hi.")
    assert by_second["usage"] == {"type": "duration", "seconds": 1}
    assert counted["usage"] == {
        "type": "tokens",
        "total_tokens": 12,
        "input_tokens": 10,
        "output_tokens": 2,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 0},
    }


@rule("K-167", broken_by=put(FAILED, "error.code", None))
@rule("K-168", broken_by=put("response.done", "response.status", "failed"))
def test_words_that_cannot_be_written_down_leave_the_answer_alone(listening: Desk) -> None:
    item_id = speak(listening)
    listening.respond()
    fail(listening, item_id)
    listening.answer("I heard you all the same.")
    error = listening.one(FAILED)["error"]
    assert error["type"] == "transcription_error" and error["message"]
    assert all(isinstance(value, str) for value in error.values())
    assert listening.one("response.done")["response"]["status"] == "completed"


@rule("K-169", broken_by=drop(DELTA))
@any_input
@given(pieces=st.lists(st.text(max_size=12), min_size=1, max_size=6).filter("".join))
def test_the_pieces_make_up_the_transcript(planted: Breakage | None, pieces: list[str]) -> None:
    desk = Desk(planted)
    desk.update(audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": None}})
    speak(desk)
    desk.transcribe("".join(pieces), *pieces)
    assert "".join(frame["delta"] for frame in desk.of(DELTA)) == desk.one(COMPLETED)["transcript"]
    assert all(frame["delta"] for frame in desk.of(DELTA))


@rule("K-170", broken_by=insert(COMPLETED, {"type": DELTA, "event_id": "event_x", "delta": "駅"}))
def test_the_first_preview_hears_a_transcript_in_one_piece(planted: Breakage | None) -> None:
    desk = Desk(planted, dialect="preview-2024-10-01")
    desk.update(input_audio_transcription={"model": "whisper-1"}, turn_detection=None)
    speak(desk)
    desk.transcribe("駅まで。", "駅", "まで。")
    assert not desk.of(DELTA)
    assert desk.one(COMPLETED)["transcript"] == "駅まで。"


@rule("K-171", broken_by=drop(COMPLETED))
@rule("K-173", broken_by=put(".*retrieved", "item.content.0.transcript", None))
def test_a_transcript_may_come_long_after_the_answer(listening: Desk) -> None:
    item_id = speak(listening)
    listening.respond()
    listening.answer("Yes?")
    listening.wait(5)
    listening.transcribe("Is anybody there?")
    assert listening.one(COMPLETED)["item_id"] == item_id
    listening.send({"type": "conversation.item.retrieve", "item_id": item_id})
    assert (
        listening.one("conversation.item.retrieved")["item"]["content"][0]["transcript"]
        == "Is anybody there?"
    )
    listening.respond()
    assert listening.asked_for(engine.Generate)[-1].history[0].id == item_id
    assert not listening.of("error")


@rule("K-172", broken_by=told_with("session.update", SETTING, {"model": "whisper-1"}))
def test_without_transcription_nothing_is_written_down(listening: Desk) -> None:
    listening.update(audio={"input": {"transcription": None}})
    item_id = speak(listening)
    assert not listening.asked_for(engine.Transcribe)
    usage = DurationUsage(seconds=1)
    listening.engine_says(
        engine.TranscriptDelta(item_id=item_id, text="Hi."),
        engine.TranscriptDone(item_id=item_id, text="Hi.", usage=usage),
    )
    assert not [kind for kind in listening.types if TOLD in kind]


@rule("K-174", broken_by=without(COMPLETED, "logprobs", nth=2))
def test_logprobs_come_when_they_are_included(listening: Desk) -> None:
    for include in (None, ["item.input_audio_transcription.logprobs"], []):
        listening.update(include=include)
        listening.engine_says(
            engine.TranscriptDone(
                item_id=speak(listening), text="Hi", usage=DurationUsage(seconds=1), logprobs=SURE
            )
        )
    before, included, after = listening.of(COMPLETED)
    assert included.get("logprobs") == [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105]}]
    assert before.get("logprobs") is None and after.get("logprobs") is None
    wanted = [command.logprobs for command in listening.asked_for(engine.Transcribe)]
    assert wanted == [False, True, False]


@rule("K-175", broken_by=told_without("session.update", f"{SETTING}.prompt"))
def test_language_and_prompt_reach_the_recogniser(planted: Breakage | None) -> None:
    desk = Desk(planted)
    setting = {"model": "whisper-1", "language": "en", "prompt": "Corolla, Yaris."}
    desk.update(audio={"input": {"transcription": setting}})
    desk.speak(640)
    desk.pause(640)
    asked = desk.asked_for(engine.Transcribe)[-1]
    assert (asked.model, asked.language, asked.prompt) == ("whisper-1", "en", "Corolla, Yaris.")
    assert desk.asked_for(engine.Prepare)[-1].transcribe == asked


@rule("K-176", broken_by=drop(COMPLETED))
def test_a_cancelled_answer_leaves_the_question_written_down(listening: Desk) -> None:
    item_id = speak(listening)
    listening.respond()
    listening.words("Well,")
    listening.cancel()
    listening.transcribe("How late is it?")
    assert listening.one("response.done")["response"]["status"] == "cancelled"
    assert listening.one(COMPLETED)["item_id"] == item_id
