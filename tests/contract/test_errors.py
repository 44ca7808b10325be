"""C13: what a peer hears when it says something wrong, and that the conversation goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.breakages import Breakage, insert, put, without
from tests.contract.desk import Desk
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events import engine
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import ToolSpec

PATH = re.compile(r"[a-z_]+(\[\d+\])?(\.[a-z_]+(\[\d+\])?)*")
WRONG: list[dict[str, Any]] = [
    {"type": "nonsense"},
    {"type": "session.update"},
    {"type": "session.update", "session": {"type": "realtime", "max_output_tokens": 0}},
    {"type": "session.update", "session": {"type": "realtime", "colour": "red"}},
    {"type": "input_audio_buffer.append", "audio": "%%%"},
    {"type": "input_audio_buffer.commit"},
    {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{}]}},
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "x", "output": ""}},
    {"type": "conversation.item.create", "previous_item_id": "x", "item": {"type": "message", "role": "user", "content": []}},
    {"type": "conversation.item.retrieve", "item_id": "x"},
    {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 0},
    {"type": "conversation.item.delete", "item_id": "x"},
    {"type": "response.create", "response": {"conversation": "some"}},
    {"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "x"}]}},
    {"type": "response.cancel"},
]  # fmt: skip


def errors(desk: Desk) -> list[dict[str, Any]]:
    return [frame["error"] for frame in desk.of("error")]


def not_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return True
    return False


@rule("K-226", broken_by=put("error", "error.code", "server_error"))
@any_input
@given(
    text=st.text(max_size=80).filter(not_json) | st.sampled_from(["", "{", '{"type": "response.create"', "'"])
)
def test_what_is_no_json_is_refused_and_the_talk_goes_on(planted: Breakage | None, text: str) -> None:
    desk = Desk(planted)
    desk.send(text)
    [error] = errors(desk)
    assert error["code"] == "invalid_json"
    assert desk.hung is None
    desk.respond()
    assert desk.of("response.created")


@rule("K-227", broken_by=put("error", "error.message", "No."))
def test_a_frame_without_a_known_type_is_told_which_there_are(desk: Desk) -> None:
    desk.send({"item_id": "x"})
    desk.send({"type": "conversation.item.paint"})
    missing, unknown = errors(desk)
    assert (missing["code"], missing["message"]) == ("invalid_event", "The 'type' field is missing.")
    assert (unknown["code"], unknown["param"]) == ("invalid_value", "type")
    for known in ("session.update", "input_audio_buffer.append", "response.create", "response.cancel"):
        assert f"'{known}'" in unknown["message"]


@rule("K-228", broken_by=put("error", "error.event_id", "event_of_another"))
@any_input
@given(frame=st.sampled_from(WRONG), event_id=st.text(min_size=1, max_size=512))
def test_an_error_names_the_event_it_answers(
    planted: Breakage | None, frame: dict[str, Any], event_id: str
) -> None:
    desk = Desk(planted)
    desk.send(frame, event_id=event_id)
    desk.send(frame)
    assert [error["event_id"] for error in errors(desk)] == [event_id, None]


@rule("K-229", broken_by=without("error", "error.param"))
@pytest.mark.parametrize("frame", WRONG, ids=[frame["type"] for frame in WRONG])
def test_an_error_has_all_its_keys_and_a_path(desk: Desk, frame: dict[str, Any]) -> None:
    desk.send(frame)
    [error] = errors(desk)
    assert set(error) == {"type", "code", "message", "param", "event_id"}
    assert error["type"] == "invalid_request_error" and error["code"] and error["message"]
    assert error["param"] is None or PATH.fullmatch(error["param"])


@rule("K-233", broken_by=put("error", "error.event_id", None))
def test_a_refused_response_is_told_to_whoever_asked_for_it(desk: Desk) -> None:
    desk.respond()
    mine = desk.generating
    wrong = {"max_output_tokens": 0}, {"input": [{"type": "item_reference", "id": "x"}]}, {}
    for count, response in enumerate(wrong, 1):
        desk.send({"type": "response.create", "event_id": f"ask_{count}", "response": response})
    assert [error["event_id"] for error in errors(desk)] == ["ask_1", "ask_2", "ask_3"]
    assert errors(desk)[2]["code"] == "conversation_already_has_active_response"
    desk.answer("Unharmed.")
    assert desk.one("response.done")["response"]["id"] == mine


LOST = FailureDetail(type="server_error", code="server_error", message="Something inside broke.")
UNASKED = {
    "type": "error",
    "event_id": "event_x",
    "error": {"type": "server_error", "message": "By the way."},
}


def fail_transcription(desk: Desk) -> None:
    for command in desk.asked_for(engine.Transcribe):
        desk.engine_says(engine.TranscriptFailed(item_id=command.item_id, error=LOST))


def answering(act: Callable[[Desk], object]) -> Callable[[Desk], object]:
    return lambda desk: act(desk) if desk.asked_for(engine.Generate) else None


HAPPENINGS: list[Callable[[Desk], object]] = [
    lambda desk: desk.speak(640),
    lambda desk: desk.pause(640),
    lambda desk: desk.say("Hello."),
    lambda desk: desk.wait(30),
    lambda desk: desk.settle("call_0000000000000001", '{"error": "The tool broke."}'),
    fail_transcription,
    answering(lambda desk: desk.words("Well, ", audio_ms=600)),
    answering(lambda desk: desk.call("get_weather", '{"city": ')),
    answering(lambda desk: desk.call("search_slowly")),
    answering(lambda desk: desk.end()),
    answering(lambda desk: desk.end("failed", LOST)),
    answering(lambda desk: desk.end("content_filter")),
]


@rule("K-232", broken_by=insert("response.done", UNASKED))
@any_input
@given(happenings=st.lists(st.sampled_from(HAPPENINGS), max_size=15))
def test_the_first_preview_hears_of_no_error_it_did_not_make(
    planted: Breakage | None, happenings: list[Callable[[Desk], object]]
) -> None:
    ours = ToolSpec(name="search_slowly", description="Search.", parameters={"type": "object"})
    desk = Desk(planted, dialect="preview-2024-10-01", tools=[ours])
    desk.update(input_audio_transcription={"model": "whisper-1"})
    desk.speak(640)
    desk.pause(640)
    for happens in happenings:
        happens(desk)
    desk.end("failed", LOST)
    assert desk.of("response.done") and not desk.of("error")
