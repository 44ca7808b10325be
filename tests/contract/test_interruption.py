"""C11: answers that are cancelled, interrupted and cut to what was heard."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.breakages import (
    Breakage,
    Frame,
    asked,
    delay,
    drop,
    insert,
    put,
    said,
    told_with,
    told_without,
    unheard,
)
from tests.contract.desk import Desk
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events import engine
from kaiwa.events.items import Message, OutputAudio
from kaiwa.session.policy import HostPolicy

DONE, TRUNCATED = "response.done", "conversation.item.truncated"
STARTED = "input_audio_buffer.speech_started"
AUDIO = "response.output_audio"
SENTENCE = "One two three four five six seven eight nine ten."
REFUSAL = {
    "type": "error",
    "event_id": "event_x",
    "error": {"type": "invalid_request_error", "code": "x", "message": "x", "param": None, "event_id": None},
}


@pytest.fixture
def speaking(desk: Desk) -> Desk:
    """A desk whose answer is under way: one second of speech so far."""
    desk.say("Count, please.")
    desk.respond()
    desk.words(SENTENCE, audio_ms=1000)
    return desk


def spoken_item(desk: Desk) -> str:
    return str(desk.one("response.output_item.added")["item"]["id"])


def truncate(desk: Desk, audio_end_ms: int, item_id: str | None = None) -> Frame:
    """Cut an item and return what the server says to it."""
    item_id = item_id or spoken_item(desk)
    place = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
    told = desk.send({"type": "conversation.item.truncate", **place})
    assert len(told) == 1
    return told[0]


def retrieved(desk: Desk, item_id: str) -> Frame:
    return desk.send({"type": "conversation.item.retrieve", "item_id": item_id})[0]["item"]


def words_in_context(desk: Desk) -> list[str | None]:
    """Ask for a response and return what the model reads of the agent's earlier speech."""
    desk.respond()
    history = desk.asked_for(engine.Generate)[-1].history
    parts = [part for item in history if isinstance(item, Message) for part in item.content]
    return [part.transcript for part in parts if isinstance(part, OutputAudio)]


def status(desk: Desk) -> tuple[str, str | None]:
    response = desk.last(DONE)["response"]
    return response["status"], (response["status_details"] or {}).get("reason")


# --- cancelling ----------------------------------------------------------------------------------


@rule("K-196", broken_by=delay(DONE, until="session.updated"))
@rule("K-197", broken_by=drop("response.content_part.done"))
@rule("K-204", broken_by=put(DONE, "response.usage", None))
def test_a_cancelled_answer_is_closed_at_once_and_in_order(speaking: Desk) -> None:
    closing = speaking.cancel()
    assert [frame["type"] for frame in closing] == [
        f"{AUDIO}.done",
        f"{AUDIO}_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        DONE,
    ]
    assert status(speaking) == ("cancelled", "client_cancelled")
    assert closing[3]["item"]["status"] == closing[4]["item"]["status"] == "incomplete"
    assert closing[5]["response"]["output"] == [closing[4]["item"]]
    assert isinstance(closing[5]["response"]["usage"], dict)


@rule("K-198", broken_by=put(DONE, "response.output.0.status", "incomplete"))
def test_what_was_complete_before_the_cancel_stays_complete(desk: Desk) -> None:
    desk.respond()
    desk.call("get_weather")
    desk.words("Let me")
    desk.cancel()
    call, message = desk.one(DONE)["response"]["output"]
    assert (call["type"], call["status"]) == ("function_call", "completed")
    assert (message["type"], message["status"]) == ("message", "incomplete")


def _straggling(done: Frame) -> list[Frame]:
    delta = {"type": f"{AUDIO}.delta", "event_id": "event_x", "response_id": done["response"]["id"]}
    return [done, delta]


@rule("K-199", broken_by=said(_straggling, DONE))
def test_nothing_of_a_cancelled_answer_follows_its_end(speaking: Desk) -> None:
    response_id = speaking.generating
    speaking.cancel()
    mark = len(speaking.frames)
    speaking.words("eleven", "twelve", audio_ms=500)
    speaking.call("get_weather")
    speaking.end()
    speaking.respond()
    assert response_id not in str(speaking.frames[mark:])
    assert not [frame for frame in speaking.frames[mark - 1 :] if frame["type"].endswith(".delta")]


@rule("K-200", broken_by=told_without("response.cancel", "response_id"))
def test_a_cancel_with_an_id_ends_that_response_alone(desk: Desk) -> None:
    desk.respond()
    mine = desk.generating
    desk.respond(conversation="none", input=[])
    beside = desk.generating
    desk.cancel(response_id=beside)
    assert [frame["response"]["id"] for frame in desk.of(DONE)] == [beside]
    desk.cancel(response_id=mine)
    assert [frame["response"]["id"] for frame in desk.of(DONE)] == [beside, mine]


@rule("K-201", broken_by=put("error", "error.code", "server_error"))
@pytest.mark.parametrize("fields", [{}, {"response_id": "resp_of_yesterday"}])
def test_cancelling_nothing_is_told_and_harmless(desk: Desk, fields: Frame) -> None:
    desk.cancel(event_id="cancel_1", **fields)
    error = desk.one("error")["error"]
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "cancel_1")
    desk.respond()
    desk.answer("Here I am.")
    assert status(desk) == ("completed", None)


@rule("K-202", broken_by=delay("response.created", until=DONE))
@rule("K-203", broken_by=unheard("response.cancel"))
def test_a_response_may_be_cancelled_before_its_first_word_and_the_next_begins(desk: Desk) -> None:
    mark = len(desk.frames)
    desk.respond()
    desk.cancel()
    desk.respond()
    assert desk.types[mark:] == ["response.created", DONE, "response.created"]
    assert status(desk) == ("cancelled", "client_cancelled")
    desk.answer("Now then.")
    assert status(desk) == ("completed", None)


# --- speaking over the agent -----------------------------------------------------------------------


@rule("K-205", broken_by=delay(STARTED, until=DONE))
def test_the_user_s_speech_ends_the_answer(speaking: Desk) -> None:
    speaking.speak(640)
    assert speaking.types.index(STARTED) < speaking.types.index(DONE)
    assert status(speaking) == ("cancelled", "turn_detected")


@rule(
    "K-206",
    broken_by=told_with("session.update", "session.audio.input.turn_detection.interrupt_response", True),
)
def test_an_answer_that_may_not_be_interrupted_runs_on(desk: Desk) -> None:
    desk.turn_detection({"type": "server_vad", "interrupt_response": False})
    desk.respond()
    desk.words(SENTENCE, audio_ms=1000)
    desk.speak(640)
    assert desk.of(STARTED)
    desk.answer("Eleven.")
    assert status(desk) == ("completed", None)


@rule("K-215", broken_by=insert(STARTED, REFUSAL))
def test_speech_into_silence_cancels_nothing(desk: Desk) -> None:
    heard = desk.speak(640)
    assert [frame["type"] for frame in heard] == [STARTED]


def _without_the_agent_s_words(command: engine.Generate) -> list[engine.Generate]:
    kept = [item for item in command.history if getattr(item, "role", "") != "assistant"]
    return [msgspec.structs.replace(command, history=tuple(kept))]


@rule("K-216", broken_by=asked(_without_the_agent_s_words, engine.Generate))
@pytest.mark.parametrize(
    ("paced", "known"), [(False, SENTENCE), (True, "One two three four ")], ids=["peer plays", "we play"]
)
def test_a_sentence_cut_off_stays_in_the_conversation(
    planted: Breakage | None, paced: bool, known: str
) -> None:
    desk = Desk(planted, policy=HostPolicy(paced_output=paced, backchannels=()))
    desk.respond()
    desk.words(SENTENCE, audio_ms=2000)
    desk.wait(0.736)
    desk.speak(64)
    assert status(desk) == ("cancelled", "turn_detected")
    desk.turn_detection(None)
    assert words_in_context(desk) == [known]


# --- truncating ------------------------------------------------------------------------------------


@rule("K-207", broken_by=put(TRUNCATED, "audio_end_ms", 1000))
@rule("K-208", broken_by=drop(TRUNCATED))
def test_an_item_may_be_cut_while_it_is_spoken(speaking: Desk) -> None:
    item_id = spoken_item(speaking)
    cut = truncate(speaking, 400)
    assert cut["type"] == TRUNCATED
    assert (cut["item_id"], cut["content_index"], cut["audio_end_ms"]) == (item_id, 0, 400)
    speaking.end()
    assert status(speaking) == ("completed", None)


def _with_every_word(command: engine.Generate) -> list[engine.Generate]:
    words = Message(role="assistant", content=(OutputAudio(transcript=SENTENCE),))
    return [msgspec.structs.replace(command, history=(*command.history, words))]


@rule("K-209", broken_by=asked(_with_every_word, engine.Generate))
@any_input
@given(audio_end_ms=st.integers(0, 1000))
def test_words_that_were_not_heard_are_forgotten(planted: Breakage | None, audio_end_ms: int) -> None:
    desk = Desk(planted)
    desk.respond()
    desk.answer(SENTENCE, audio_ms=1000)
    truncate(desk, audio_end_ms)
    assert retrieved(desk, spoken_item(desk))["content"][0]["transcript"] == ""
    known = "".join(words or "" for words in words_in_context(desk))
    assert SENTENCE.startswith(known)
    said_by_then = len(SENTENCE) * audio_end_ms / 1000
    assert said_by_then - len("three") <= len(known) <= said_by_then


@rule("K-210", broken_by=told_with("conversation.item.truncate", "audio_end_ms", 400))
def test_all_of_a_sentence_may_go_unheard(speaking: Desk) -> None:
    speaking.end()
    assert truncate(speaking, 0)["audio_end_ms"] == 0
    assert words_in_context(speaking) == []


@rule("K-211", broken_by=told_with("conversation.item.truncate", "audio_end_ms", lambda ms: min(ms, 1000)))
@any_input
@given(audio_end_ms=st.integers(1001, 10**7))
def test_an_item_cannot_be_cut_behind_its_end(planted: Breakage | None, audio_end_ms: int) -> None:
    desk = Desk(planted)
    desk.respond()
    desk.answer(SENTENCE, audio_ms=1000)
    before = retrieved(desk, spoken_item(desk))
    truncate(desk, audio_end_ms)
    message = desk.one("error")["error"]["message"]
    assert message == f"Audio content of 1000ms is already shorter than {audio_end_ms}ms"
    assert retrieved(desk, spoken_item(desk)) == before
    assert words_in_context(desk) == [SENTENCE]


@rule("K-212", broken_by=put("error", "error.code", "invalid_value", nth=2))
@rule("K-213", broken_by=put("error", "error.code", "invalid_value", nth=3))
def test_only_the_agent_s_speech_can_be_cut(desk: Desk) -> None:
    desk.say("Hello.", id="item_said")
    desk.respond(output_modalities=["text"])
    desk.answer("In writing.")
    for item_id in ("item_said", spoken_item(desk), "item_never"):
        truncate(desk, 0, item_id)
    codes: list[Any] = [frame["error"]["code"] for frame in desk.of("error")]
    assert codes == ["unsupported_content_type", "unsupported_content_type", "item_truncate_invalid_item_id"]


@rule("K-214", broken_by=drop(TRUNCATED, nth=2))
def test_an_item_may_be_cut_again_shorter(speaking: Desk) -> None:
    speaking.end()
    for audio_end_ms in (700, 300):
        assert truncate(speaking, audio_end_ms)["audio_end_ms"] == audio_end_ms
    assert words_in_context(speaking) == ["One two three "]
