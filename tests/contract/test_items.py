"""C3: conversation items: their order, their acknowledgements, and what a model reads of them."""

from __future__ import annotations

import base64
import re
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from tests.contract.breakages import (
    Breakage,
    delay,
    drop,
    put,
    refuse,
    repeat,
    told,
    told_with,
    told_without,
    unheard,
    without,
)
from tests.contract.desk import Desk, silence
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events import engine
from kaiwa.server.ids import new_id

ADDED, DONE = "conversation.item.added", "conversation.item.done"
CREATE, DELETE = "conversation.item.create", "conversation.item.delete"


def kinds(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in frames]


def error(frames: list[dict[str, Any]]) -> dict[str, Any]:
    assert kinds(frames) == ["error"]
    return frames[0]["error"]


def places(desk: Desk) -> list[tuple[str | None, str]]:
    """Return what every acknowledgement said: the predecessor's id and the item's."""
    return [(frame.get("previous_item_id", "absent"), frame["item"]["id"]) for frame in desk.of(ADDED)]


def words_read(desk: Desk) -> list[str]:
    """Ask for a response, and return the texts that its model was given."""
    desk.respond(output_modalities=["text"], conversation="none")
    history = desk.asked_for(engine.Generate)[-1].history
    return [part.text for item in history for part in item.content]


def retrieve(desk: Desk, item_id: str, **fields: Any) -> list[dict[str, Any]]:
    return desk.send({"type": "conversation.item.retrieve", "item_id": item_id}, **fields)


def delete(desk: Desk, item_id: str) -> list[dict[str, Any]]:
    return desk.send({"type": DELETE, "item_id": item_id})


@rule("K-66", broken_by=drop(DONE, nth=2))
@rule("K-66", broken_by=put(DONE, "previous_item_id", "item_x", nth=2))
@rule("K-67", broken_by=without("conversation.item.(added|done)", "previous_item_id"))
@rule("K-67", broken_by=put(ADDED, "previous_item_id", "root", nth=1))
@rule("K-68", broken_by=put("conversation.item.(added|done)", "previous_item_id", None))
@rule("K-77", broken_by=put(DONE, "item.object", "realtime.item"))
def test_an_item_is_acknowledged_twice_and_names_the_one_before_it(desk: Desk) -> None:
    previous: str | None = None
    for text in ("One.", "Two.", "Three."):
        frames = desk.say(text)
        assert kinds(frames) == [ADDED, DONE]
        for frame in frames:
            assert frame.get("previous_item_id", "absent") == previous
            assert set(frame["item"]) == {"id", "type", "status", "role", "content"}
        assert frames[0]["item"] == frames[1]["item"]
        previous = frames[0]["item"]["id"]


PREVIEW_CREATED = "conversation.item.created"


@rule("K-66", broken_by=repeat(PREVIEW_CREATED, nth=2))
@rule("K-66", broken_by=put(PREVIEW_CREATED, "type", DONE, nth=2))
@rule("K-77", broken_by=without(PREVIEW_CREATED, "item.object"))
def test_an_item_is_acknowledged_once_in_preview(preview_desk: Desk) -> None:
    previous: str | None = None
    for text in ("One.", "Two."):
        frames = preview_desk.say(text)
        assert kinds(frames) == [PREVIEW_CREATED]
        item = frames[0]["item"]
        assert frames[0]["previous_item_id"] == previous
        assert set(item) == {"id", "object", "type", "status", "role", "content"}
        assert item["object"] == "realtime.item"
        previous = item["id"]
    preview_desk.respond()
    preview_desk.answer("Hi.", audio_ms=100)
    ended = preview_desk.one("response.done")["response"]["output"]
    answers = [*ended, preview_desk.one("response.output_item.done")["item"]]
    assert [item["object"] for item in answers] == ["realtime.item"] * 2


@rule("K-69", broken_by=put(DONE, "item.id", lambda given: given[:30]))
@rule("K-69", broken_by=told_without(CREATE, "item.id"))
def test_an_item_keeps_the_id_its_client_chose(desk: Desk) -> None:
    for chosen in (
        "item_E6U0uYk3mRr8v0cJw1zQ", "item_012345678901234567890123456", "item-ABCDEFGHIJKLMNOPQRSTUVWXYZA",
        "4f5e6d7c8b9a0f1e2d3c4b5a69788796", "item_1a2b3c4d5e6f",
    ):  # fmt: skip
        frames = desk.say("Hello.", id=chosen)
        assert [frame["item"]["id"] for frame in frames] == [chosen] * 2


@rule("K-70", broken_by=told_with(CREATE, "item.id", lambda given: given[:32]))
def test_an_id_has_32_characters_at_most(desk: Desk) -> None:
    refusal = error(desk.say("Hello.", id="i" * 33))
    assert (refusal["code"], refusal["param"]) == ("string_above_max_length", "item.id")


@rule("K-71", broken_by=drop("error"))
@rule("K-71", broken_by=put("conversation.item.retrieved", "item.content.0.text", "Two."))
def test_an_id_is_taken_once(desk: Desk) -> None:
    desk.say("One.", id="mine")
    assert error(desk.say("Two.", id="mine"))["param"] == "item.id"
    assert retrieve(desk, "mine")[0]["item"]["content"] == [{"type": "input_text", "text": "One."}]


@rule("K-72", broken_by=put(ADDED, "item.id", "item_1"))
def test_an_item_without_an_id_gets_one(planted: Breakage | None) -> None:
    desk = Desk(planted, ids=new_id)
    frames = desk.say("One.") + desk.say("Two.")
    assert all(re.fullmatch(r"item_[A-Za-z0-9]{21}", frame["item"]["id"]) for frame in frames)
    assert len({frame["item"]["id"] for frame in frames}) == 2


@rule("K-73", broken_by=told_with(CREATE, "previous_item_id", None))
@rule("K-73", broken_by=put(ADDED, "previous_item_id", "root", nth=2))
def test_root_means_the_front(desk: Desk) -> None:
    desk.say("Second.", id="second")
    desk.item(
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "First."}]},
        previous_item_id="root",
    )
    assert words_read(desk) == ["First.", "Second."]
    assert [previous for previous, _ in places(desk)] == [None, None]


@rule("K-74", broken_by=told_with(CREATE, "previous_item_id", None))
@rule("K-74", broken_by=put(ADDED, "previous_item_id", "three", nth=3))
def test_an_item_goes_where_its_client_puts_it(desk: Desk) -> None:
    desk.say("One.", id="one")
    desk.say("Three.", id="three")
    content = [{"type": "input_text", "text": "Two."}]
    desk.item({"type": "message", "role": "user", "id": "two", "content": content}, previous_item_id="one")
    assert words_read(desk) == ["One.", "Two.", "Three."]
    assert places(desk)[-1] == ("one", "two")


@rule("K-75", broken_by=told_with(CREATE, "previous_item_id", None))
@rule("K-75", broken_by=put("error", "error.message", "Error adding item."))
def test_an_item_cannot_follow_one_that_is_not_there(desk: Desk) -> None:
    content = [{"type": "input_text", "text": "Hello."}]
    message = {"type": "message", "role": "user", "id": "mine", "content": content}
    refusal = error(desk.item(message, previous_item_id="item_nowhere"))
    assert refusal["code"] == "item_create_invalid_previous_item_id"
    assert "item_nowhere" in refusal["message"] and "does not exist" in refusal["message"]
    assert error(retrieve(desk, "mine"))["code"] == "item_retrieve_invalid_item_id"


@rule("K-76", broken_by=put(ADDED, "item.status", "in_progress"))
@rule("K-76", broken_by=without(DONE, "item.status"))
def test_an_item_of_a_client_is_complete(desk: Desk) -> None:
    frames = [
        *desk.say("Hello."),
        *desk.say("Hello.", status="incomplete"),
        *desk.item({"type": "function_call", "name": "f", "call_id": "call_1", "arguments": "{}"}),
    ]
    assert [frame["item"].get("status") for frame in frames] == ["completed"] * 6


def assistant_part(name: str) -> Any:
    """Rename the part of an assistant's message on its way to the server."""

    def change(frame: dict[str, Any]) -> list[dict[str, Any]]:
        frame["item"]["content"][0]["type"] = name
        return [frame]

    return told(change, CREATE)


@rule("K-78", broken_by=refuse(ADDED, nth=2))
@rule("K-78", broken_by=assistant_part("output_text"))
def test_what_the_assistant_said_before_is_text_or_audio(desk: Desk) -> None:
    for part in ({"type": "output_text", "text": "Hi."}, {"type": "output_audio", "transcript": "Hi."}):
        frames = desk.item({"type": "message", "role": "assistant", "content": [part]})
        assert kinds(frames) == [ADDED, DONE] and frames[0]["item"]["content"] == [part]
    for part in ({"type": "text", "text": "Hi."}, {"type": "input_text", "text": "Hi."}):
        refusal = error(desk.item({"type": "message", "role": "assistant", "content": [part]}))
        assert (refusal["code"], refusal["param"]) == ("invalid_value", "item.content[0].type")


@rule("K-78", broken_by=refuse(PREVIEW_CREATED, nth=2))
@rule("K-78", broken_by=assistant_part("text"))
def test_what_the_assistant_said_before_has_other_names_in_preview(preview_desk: Desk) -> None:
    for part in ({"type": "text", "text": "Hi."}, {"type": "audio", "transcript": "Hi."}):
        frames = preview_desk.item({"type": "message", "role": "assistant", "content": [part]})
        assert kinds(frames) == [PREVIEW_CREATED] and frames[0]["item"]["content"] == [part]
    for part in ({"type": "output_text", "text": "Hi."}, {"type": "input_text", "text": "Hi."}):
        refusal = error(preview_desk.item({"type": "message", "role": "assistant", "content": [part]}))
        assert (refusal["code"], refusal["param"]) == ("invalid_value", "item.content[0].type")


@rule("K-79", broken_by=told_with(CREATE, "item.role", "user"))
def test_a_system_message_is_read_as_one(desk: Desk) -> None:
    content = [{"type": "input_text", "text": "Be brief."}]
    frames = desk.item({"type": "message", "role": "system", "content": content})
    assert [frame["item"]["content"] for frame in frames] == [content] * 2
    desk.respond()
    assert [item.role for item in desk.asked_for(engine.Generate)[-1].history] == ["system"]


COMPLETED = "conversation.item.input_audio_transcription.completed"


@rule("K-80", broken_by=told_with("session.update", "session.audio.input.transcription", None))
@rule("K-80", broken_by=put(ADDED, "item.content.0.transcript", "heard already"))
def test_audio_may_be_brought_as_history_and_is_written_down(desk: Desk) -> None:
    desk.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
    part = {"type": "input_audio", "audio": silence(500)}
    frames = desk.item({"type": "message", "role": "user", "id": "spoken", "content": [part]})
    assert kinds(frames) == [ADDED, DONE]
    assert frames[0]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert [len(command.pcm) for command in desk.asked_for(engine.Remember)] == [500 * 48]
    assert [command.item_id for command in desk.asked_for(engine.Transcribe)] == ["spoken"]
    desk.transcribe("Hello.")
    assert (desk.one(COMPLETED)["item_id"], desk.one(COMPLETED)["transcript"]) == ("spoken", "Hello.")


PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


@rule("K-81", broken_by=put(DONE, "item.content.0.image_url", ""))
@rule("K-81", broken_by=unheard(CREATE))
def test_an_image_is_kept_and_echoed(desk: Desk) -> None:
    part = {"type": "input_image", "image_url": PIXEL, "detail": "low"}
    frames = desk.item({"type": "message", "role": "user", "content": [part]})
    assert [frame["item"]["content"] for frame in frames] == [[part]] * 2
    desk.respond(output_modalities=["text"])
    desk.answer("A pixel.")
    assert desk.last("response.done")["response"]["status"] == "completed"


@rule("K-82", broken_by=told_with(CREATE, "item.content.0.text", ""))
@rule("K-82", broken_by=put("error", "error.param", "item.content.0.text"))
def test_a_text_part_without_text_is_named(desk: Desk) -> None:
    refusal = error(desk.item({"type": "message", "role": "user", "content": [{"type": "input_text"}]}))
    assert (refusal["code"], refusal["param"]) == ("missing_required_parameter", "item.content[0].text")


CALL = {
    "type": "function_call",
    "name": "weather",
    "call_id": "call_client",
    "arguments": '{"place":"Kyoto"}',
}
OUTPUT = {"type": "function_call_output", "call_id": "call_client", "output": "Rain."}


@rule("K-83", broken_by=put(ADDED, "item.call_id", "call_server"))
@rule("K-83", broken_by=told(lambda frame: [] if frame["item"] == CALL else [frame], CREATE))
def test_a_call_and_its_output_may_be_brought_as_history(desk: Desk) -> None:
    desk.item(CALL)
    desk.item(OUTPUT)
    assert [frame["item"]["call_id"] for frame in desk.of(ADDED)] == ["call_client"] * 2
    desk.respond()
    call, output = desk.asked_for(engine.Generate)[-1].history
    assert (call.name, call.arguments, call.call_id) == ("weather", '{"place":"Kyoto"}', "call_client")
    assert (output.call_id, output.output) == ("call_client", "Rain.")


@rule("K-84", broken_by=told_with(CREATE, "item.call_id", "call_client"))
def test_an_output_belongs_to_a_call(desk: Desk) -> None:
    desk.item(CALL)
    refusal = error(desk.item({"type": "function_call_output", "call_id": "call_other", "output": "42"}))
    assert (refusal["code"], refusal["param"]) == ("invalid_tool_call_id", "item.call_id")
    assert "call_other" in refusal["message"]


@rule("K-85", broken_by=put(ADDED, "previous_item_id", "one_2", nth=8))
@rule("K-85", broken_by=repeat(ADDED, nth=8))
@rule("K-85", broken_by=drop(ADDED, nth=20))
def test_twenty_items_in_a_row_are_a_chain_of_twenty(desk: Desk) -> None:
    names = [f"one_{number}" for number in range(20)]
    for name in names:
        desk.say("Hello.", id=name)
    assert places(desk) == list(zip([None, *names], names, strict=False))
    assert kinds(desk.frames[1:]) == [ADDED, DONE] * 20


@rule("K-86", broken_by=put("conversation.item.retrieved", "item.content.0.transcript", None, nth=2))
@rule("K-86", broken_by=put("conversation.item.retrieved", "item.content", []))
def test_a_retrieved_item_shows_what_is_known_by_now(desk: Desk) -> None:
    desk.update(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
    desk.append(500)
    desk.commit()
    item_id = desk.one("input_audio_buffer.committed")["item_id"]
    retrieve(desk, item_id)
    desk.transcribe("Hello.")
    retrieve(desk, item_id)
    shown = [frame["item"]["content"] for frame in desk.of("conversation.item.retrieved")]
    heard = {"type": "input_audio", "audio": silence(500)}
    assert shown == [[{**heard, "transcript": words}] for words in (None, "Hello.")]


@rule("K-87", broken_by=put("error", "error.event_id", None))
@rule("K-87", broken_by=put("error", "error.code", "invalid_value"))
def test_retrieving_what_is_not_there_names_the_request(desk: Desk) -> None:
    refusal = error(retrieve(desk, "item_nowhere", event_id="rci_item_nowhere"))
    assert (refusal["code"], refusal["event_id"]) == ("item_retrieve_invalid_item_id", "rci_item_nowhere")


@rule("K-88", broken_by=unheard(DELETE))
@rule("K-88", broken_by=put("conversation.item.deleted", "item_id", "one"))
def test_a_deleted_item_is_not_read_any_more(desk: Desk) -> None:
    desk.say("One.", id="one")
    desk.say("Two.", id="two")
    deleted = delete(desk, "two")
    assert words_read(desk) == ["One."]
    assert kinds(deleted) == ["conversation.item.deleted"] and deleted[0]["item_id"] == "two"


@rule("K-89", broken_by=put("error", "error.code", "item_retrieve_invalid_item_id"))
def test_deleting_what_is_not_there_is_an_error(desk: Desk) -> None:
    assert error(delete(desk, "item_nowhere"))["code"] == "item_delete_invalid_item_id"


@rule("K-90", broken_by=put(ADDED, "previous_item_id", "two", nth=3))
@rule("K-90", broken_by=unheard(DELETE))
def test_the_next_item_follows_the_one_that_is_left(desk: Desk) -> None:
    desk.say("One.", id="one")
    desk.say("Two.", id="two")
    delete(desk, "two")
    desk.say("Three.", id="three")
    assert places(desk)[-1] == ("one", "three")


@rule("K-91", broken_by=put(ADDED, "previous_item_id", "two", nth=3))
@rule("K-91", broken_by=unheard(DELETE))
def test_after_all_were_deleted_an_item_is_the_first_again(desk: Desk) -> None:
    for name in ("one", "two"):
        desk.say("Hello.", id=name)
    for name in ("one", "two"):
        delete(desk, name)
    desk.say("Three.", id="three")
    assert places(desk)[-1] == (None, "three")


STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "front", "after", "delete"]), st.integers(0, 9)), max_size=20
)


@rule("K-74", broken_by=put(ADDED, "previous_item_id", None))
@rule("K-88", broken_by=unheard(DELETE))
@given(steps=STEPS)
@example(steps=[("append", 0), ("after", 0), ("delete", 0)])
@any_input
def test_the_order_holds_whatever_is_put_in_and_taken_out(
    planted: Breakage | None, steps: list[tuple[str, int]]
) -> None:
    desk, order = Desk(planted), list[str]()
    for number, (step, pick) in enumerate(steps):
        text, chosen = f"item_{number}", order[pick % len(order)] if order else None
        if step == "delete":
            if chosen is not None:
                delete(desk, chosen)
                order.remove(chosen)
            continue
        where = {"append": None, "front": "root", "after": chosen}[step]
        place = {"append": len(order), "front": 0, "after": order.index(chosen) + 1 if chosen else 0}[step]
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "id": text, "content": content}
        desk.item(item, previous_item_id=where)
        order.insert(place, text)
        assert places(desk)[-1] == (order[place - 1] if place else None, text)
    assert words_read(desk) == order


@rule("K-92", broken_by=delay("conversation.item.(added|done)", until="response.done"))
def test_an_item_is_acknowledged_at_once_while_a_response_runs(desk: Desk) -> None:
    desk.respond(output_modalities=["text"])
    desk.words("One", " moment")
    frames = desk.say("By the way.")
    assert kinds(frames) == [ADDED, DONE]
    desk.answer(" please.")
    assert desk.last("response.done")["response"]["status"] == "completed"
