"""C4: a response in text, from response.create to response.done."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from tests.contract.breakages import Breakage, delay, drop, put, refuse, said, told, told_with, without
from tests.contract.desk import Desk
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events import engine
from kaiwa.events.response import FailureDetail

CREATED, RESPONSE_DONE = "response.created", "response.done"
ITEM_ADDED, ITEM_DONE = "conversation.item.added", "conversation.item.done"
OUTPUT_ADDED, OUTPUT_DONE = "response.output_item.added", "response.output_item.done"
PART_ADDED, PART_DONE = "response.content_part.added", "response.content_part.done"
DELTA, TEXT_DONE = "response.output_text.delta", "response.output_text.done"
CREATE = "response.create"
TEXT = {"output_modalities": ["text"]}
RESPONSE_KEYS = {
    "object", "id", "status", "status_details", "output", "conversation_id", "output_modalities",
    "max_output_tokens", "audio", "usage", "metadata",
}  # fmt: skip

pieces = st.lists(st.text(max_size=12) | st.text(alphabet="é漢😀👩‍🚀 ", max_size=6), min_size=1, max_size=6)


def text_turn(desk: Desk, *words: str, **response: Any) -> list[dict[str, Any]]:
    """One whole answer in text; return the frames from response.create on."""
    mark = len(desk.frames)
    desk.respond(**{**TEXT, **response})
    desk.answer(*words)
    return desk.frames[mark:]


def responses(desk: Desk, kind: str = RESPONSE_DONE) -> list[dict[str, Any]]:
    return [frame["response"] for frame in desk.of(kind)]


def asked(desk: Desk) -> list[engine.Generate]:
    return desk.asked_for(engine.Generate)


def ignoring_overrides(frame: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": CREATE, "response": TEXT}]


@rule("K-93", broken_by=delay(PART_DONE, until=ITEM_DONE))
@rule("K-93", broken_by=drop(PART_ADDED))
@rule("K-101", broken_by=delay(ITEM_DONE, until=OUTPUT_DONE))
@rule("K-101", broken_by=delay(OUTPUT_DONE, until=RESPONSE_DONE))
def test_a_text_turn_has_one_order_of_events(desk: Desk) -> None:
    desk.say("Hello.")
    text_turn(desk, "Hi", " there", ".")
    assert [kind for kind in desk.types if kind != "rate_limits.updated"] == [
        "session.created", ITEM_ADDED, ITEM_DONE,
        CREATED, OUTPUT_ADDED, ITEM_ADDED, PART_ADDED, DELTA, DELTA, DELTA,
        TEXT_DONE, PART_DONE, ITEM_DONE, OUTPUT_DONE, RESPONSE_DONE,
    ]  # fmt: skip


@rule("K-94", broken_by=without(CREATED, "response.metadata"))
@rule("K-94", broken_by=put(CREATED, "response.status", "completed"))
@rule("K-102", broken_by=put(RESPONSE_DONE, "response.output", []))
@rule("K-102", broken_by=put(RESPONSE_DONE, "response.status", "in_progress"))
@rule("K-103", broken_by=put(RESPONSE_DONE, "response.id", "resp_another"))
def test_a_response_is_shown_empty_and_then_whole(desk: Desk) -> None:
    frames = text_turn(desk, "Hi.")
    begun, ended = frames[0]["response"], frames[-1]["response"]
    assert set(begun) == set(ended) == RESPONSE_KEYS
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    assert begun["object"] == "realtime.response" and begun["status_details"] is None
    assert (ended["status"], ended["status_details"], ended["id"]) == ("completed", None, begun["id"])
    assert ended["output"] == [desk.one(OUTPUT_DONE)["item"]]
    assert [part["text"] for item in ended["output"] for part in item["content"]] == ["Hi."]


@rule("K-95", broken_by=put(OUTPUT_ADDED, "item.status", "completed"))
@rule("K-95", broken_by=put(OUTPUT_ADDED, "item.content", [{"type": "output_text", "text": ""}]))
@rule("K-96", broken_by=delay(ITEM_ADDED, until=PART_ADDED))
@rule("K-96", broken_by=put(ITEM_ADDED, "item.id", "item_another", nth=3))
@rule("K-96", broken_by=put(ITEM_ADDED, "previous_item_id", "first", nth=3))
@rule("K-97", broken_by=put(PART_ADDED, "part.type", "output_text"))
@rule("K-97", broken_by=without(PART_ADDED, "part.text"))
def test_the_answer_opens_as_an_empty_item_after_the_last_one(desk: Desk) -> None:
    desk.say("Hello.", id="first")
    desk.respond(**TEXT)
    desk.say("Are you there?", id="meanwhile")
    begin = len(desk.frames)
    desk.words("Yes.")
    assert desk.types[begin:] == [OUTPUT_ADDED, ITEM_ADDED, PART_ADDED, DELTA]
    output, item, part, _ = desk.frames[begin:]
    assert (output["item"]["status"], output["item"]["content"]) == ("in_progress", [])
    assert (item["item"]["id"], item["previous_item_id"]) == (output["item"]["id"], "meanwhile")
    assert part["part"] == {"type": "text", "text": ""}


@rule("K-98", broken_by=put(TEXT_DONE, "text", lambda text: text.strip()))
@rule("K-98", broken_by=put(PART_DONE, "part.text", ""))
@rule("K-98", broken_by=put(ITEM_DONE, "item.content.0.text", lambda text: text[:3]))
@given(words=pieces)
@example(words=["Hi", " there. "])
@any_input
def test_the_pieces_make_the_text_wherever_it_is_shown(planted: Breakage | None, words: list[str]) -> None:
    desk = Desk(planted)
    text_turn(desk, *words)
    whole = "".join(words)
    assert "".join(frame["delta"] for frame in desk.of(DELTA)) == whole
    if whole:
        assert desk.one(TEXT_DONE)["text"] == whole
        assert desk.one(PART_DONE)["part"]["text"] == whole
        assert desk.one(ITEM_DONE)["item"]["content"] == [{"type": "output_text", "text": whole}]


def cut_in_the_middle_of_a_letter(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Stream bytes and not letters, as a careless server does."""
    encoded = frame["delta"].encode()
    halves = encoded[: len(encoded) // 2], encoded[len(encoded) // 2 :]
    return [{**frame, "delta": half.decode(errors="replace")} for half in halves if half]


@rule("K-99", broken_by=said(cut_in_the_middle_of_a_letter, DELTA))
@given(words=pieces)
@example(words=["é漢😀"])
@any_input
def test_no_piece_is_empty_and_none_cuts_a_letter(planted: Breakage | None, words: list[str]) -> None:
    desk = Desk(planted)
    text_turn(desk, *words)
    deltas = [frame["delta"] for frame in desk.of(DELTA)]
    assert all(deltas)
    for delta in deltas:
        assert delta.encode().decode() == delta
    assert "".join(deltas).encode() == "".join(words).encode()


PLACE = ("response_id", "item_id", "output_index", "content_index")


@rule("K-100", broken_by=put(DELTA, "item_id", "item_another", nth=2))
@rule("K-100", broken_by=put(DELTA, "content_index", 1, nth=3))
def test_every_piece_says_where_it_belongs(desk: Desk) -> None:
    frames = text_turn(desk, "One", " two", " three.")
    places = [tuple(frame[key] for key in PLACE) for frame in frames if frame["type"] in (DELTA, TEXT_DONE)]
    response_id, item_id = frames[0]["response"]["id"], desk.one(OUTPUT_ADDED)["item"]["id"]
    assert places == [(response_id, item_id, 0, 0)] * 4


@rule("K-104", broken_by=put(CREATED, "response.conversation_id", "conv_another", nth=2))
@rule("K-104", broken_by=put("response.(created|done)", "response.conversation_id", "session_1"))
def test_all_responses_belong_to_one_conversation(desk: Desk) -> None:
    text_turn(desk, "One.")
    text_turn(desk, "Two.")
    names = {response["conversation_id"] for response in responses(desk, CREATED) + responses(desk)}
    assert len(names) == 1 and re.fullmatch(r"conv_\w+", names.pop())


@rule("K-105", broken_by=refuse(CREATED))
def test_a_response_needs_no_item_before_it(desk: Desk) -> None:
    frames = text_turn(desk, "Welcome!")
    assert frames[0]["type"] == CREATED
    assert desk.one(ITEM_ADDED)["previous_item_id"] is None
    assert desk.one(RESPONSE_DONE)["response"]["output"][0]["content"][0]["text"] == "Welcome!"


def like_a_pirate(frame: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": CREATE, "response": {**TEXT, "instructions": "Like a pirate."}}]


@rule("K-106", broken_by=told(ignoring_overrides, CREATE))
@rule("K-106", broken_by=told(like_a_pirate, CREATE))
def test_instructions_of_a_response_hold_for_it_alone(desk: Desk) -> None:
    desk.update(instructions="Be polite.")
    text_turn(desk, "Ahoy!", instructions="Like a pirate.")
    text_turn(desk, "Good day.")
    assert [command.instructions for command in asked(desk)] == ["Like a pirate.", "Be polite."]


@rule("K-107", broken_by=told_with(CREATE, "response.instructions", ""))
@rule("K-107", broken_by=told_with(CREATE, "response.tools", []))
@rule("K-107", broken_by=put(RESPONSE_DONE, "response.metadata", {}, nth=2))
def test_null_means_what_the_session_says(desk: Desk) -> None:
    desk.update(instructions="Be polite.", tools=[{"type": "function", "name": "f"}], max_output_tokens=99)
    nulls = dict.fromkeys(
        ("instructions", "tools", "metadata", "audio", "tool_choice", "max_output_tokens", "input", "prompt")
    )
    text_turn(desk, "One.", conversation="none", metadata={"n": "1"})
    text_turn(desk, "One.", conversation="none", **nulls)
    first, second = (msgspec.structs.replace(command, response_id="") for command in asked(desk))
    assert first.instructions == "Be polite." and [tool.name for tool in first.tools] == ["f"]
    assert second == first
    assert responses(desk)[1]["metadata"] is None


@rule("K-108", broken_by=put(CREATED, "response.metadata", None))
@rule("K-108", broken_by=put(RESPONSE_DONE, "response.metadata.key_3", "changed"))
@rule("K-108", broken_by=drop("error"))
def test_metadata_comes_back_unchanged(desk: Desk) -> None:
    metadata = {f"key_{number}": "v" * 512 for number in range(16)}
    text_turn(desk, "One.", metadata=metadata)
    assert responses(desk, CREATED)[0]["metadata"] == responses(desk)[0]["metadata"] == metadata
    desk.respond(metadata=metadata | {"one_more": "v"})
    assert desk.one("error")["error"]["param"] == "response.metadata"


@rule("K-109", broken_by=told_with(CREATE, "response.max_output_tokens", "inf"))
@rule("K-109", broken_by=put(RESPONSE_DONE, "response.status_details.reason", "content_filter"))
@rule("K-109", broken_by=put(ITEM_DONE, "item.status", "completed"))
def test_a_response_that_reaches_its_limit_is_incomplete(desk: Desk) -> None:
    desk.respond(**TEXT, max_output_tokens=3)
    assert asked(desk)[-1].max_output_tokens == 3
    desk.words("To be, or")
    desk.end("max_output_tokens")
    response = desk.one(RESPONSE_DONE)["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    statuses = [desk.one(kind)["item"]["status"] for kind in (ITEM_DONE, OUTPUT_DONE)]
    assert [*statuses, response["output"][0]["status"]] == ["incomplete"] * 3


@rule("K-110", broken_by=told(lambda frame: [{"type": CREATE}], CREATE))
@rule("K-110", broken_by=told(ignoring_overrides, CREATE))
def test_one_response_of_a_spoken_session_may_be_text(desk: Desk) -> None:
    desk.respond(**TEXT)
    desk.answer("Written.", audio_ms=100)
    assert not [kind for kind in desk.types if "audio" in kind]
    assert desk.one(RESPONSE_DONE)["response"]["output_modalities"] == ["text"]
    desk.respond()
    desk.answer("Spoken.", audio_ms=100)
    assert desk.of("response.output_audio.delta")


@rule("K-111", broken_by=put("error", "error.event_id", None))
@rule("K-111", broken_by=put("error", "error.code", "invalid_value"))
@rule("K-111", broken_by=drop(DELTA, nth=2))
def test_a_second_response_is_refused_and_the_first_goes_on(desk: Desk) -> None:
    desk.respond(**TEXT)
    desk.words("One")
    (refusal,) = desk.send({"type": CREATE, "event_id": "create_2"})
    assert refusal["error"]["code"] == "conversation_already_has_active_response"
    assert refusal["error"]["event_id"] == "create_2"
    desk.answer(" two.")
    (response,) = responses(desk)
    assert [frame["delta"] for frame in desk.of(DELTA)] == ["One", " two."]
    assert (response["status"], response["output"][0]["content"][0]["text"]) == ("completed", "One two.")
    assert len(desk.of(CREATED)) == len(asked(desk)) == 1


@rule("K-112", broken_by=put(RESPONSE_DONE, "response.usage", None))
@rule("K-112", broken_by=without(RESPONSE_DONE, "response.status_details.error.type"))
@rule("K-112", broken_by=put(RESPONSE_DONE, "response.status", "completed"))
def test_a_model_that_fails_ends_the_response_as_failed(desk: Desk) -> None:
    desk.respond(**TEXT)
    failure = {"type": "server_error", "code": "upstream_failed", "message": "The model failed."}
    desk.end("failed", FailureDetail(**failure))
    response = desk.one(RESPONSE_DONE)["response"]
    assert response["status"] == "failed"
    assert response["status_details"] == {"type": "failed", "error": failure}
    assert isinstance(response["usage"], dict) and response["usage"]["output_tokens"] == 0
    assert not desk.of("error")
