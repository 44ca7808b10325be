"""C12: responses beside the conversation."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.breakages import Frame, insert, put, said, told_with, told_without
from tests.contract.desk import Desk
from tests.contract.manifest import rule

from kaiwa.events import engine
from kaiwa.events.items import InputText, Message, OutputText

CREATED, DONE = "response.created", "response.done"
QUESTION = "Where is the station?"


@pytest.fixture
def talking(desk: Desk) -> Desk:
    """A conversation in writing that holds one question, `item_question`."""
    desk.update(output_modalities=["text"])
    desk.say(QUESTION, id="item_question")
    return desk


def beside(desk: Desk, **response: Any) -> str:
    """Ask for a response beside the conversation and return its id."""
    desk.respond(conversation="none", **response)
    return str(desk.last(CREATED)["response"]["id"])


def read(desk: Desk) -> list[str]:
    """Return the texts that the model was given with the last question."""
    history = desk.asked_for(engine.Generate)[-1].history
    parts = [part for item in history if isinstance(item, Message) for part in item.content]
    return [part.text for part in parts if isinstance(part, InputText | OutputText)]


def ended(desk: Desk) -> dict[str, str]:
    """Return how each response ended, by its id."""
    return {frame["response"]["id"]: frame["response"]["status"] for frame in desk.of(DONE)}


@rule("K-217", broken_by=put(DONE, "response.conversation_id", "conv_x", nth=1))
@rule("K-225", broken_by=put(DONE, "response.metadata", None))
def test_a_response_beside_belongs_to_no_conversation_and_says_whose_it_is(talking: Desk) -> None:
    topic = {"topic": "summary"}
    beside(talking, metadata=topic)
    talking.answer("A question about the way.")
    talking.respond(metadata={"topic": "answer"})
    talking.answer("Over there.")
    for frame in (talking.of(CREATED)[0], talking.of(DONE)[0]):
        assert frame["response"]["conversation_id"] is None and frame["response"]["metadata"] == topic
    for frame in (talking.of(CREATED)[1], talking.of(DONE)[1]):
        assert frame["response"]["conversation_id"].startswith("conv_")
        assert frame["response"]["metadata"] == {"topic": "answer"}


@rule("K-218", broken_by=told_with("response.create", "response.conversation", "auto"))
def test_a_response_beside_runs_while_the_answer_is_given(talking: Desk) -> None:
    talking.respond(conversation="auto")
    mine = talking.generating
    talking.words("Over")
    other = beside(talking)
    talking.answer("A question.")
    assert other != mine and ended(talking) == {other: "completed"}
    talking.engine_says(
        engine.TextDelta(response_id=mine, text=" there."), engine.GenerationEnded(response_id=mine)
    )
    assert ended(talking) == {other: "completed", mine: "completed"}
    assert not talking.of("error")


def _added(frame: Frame) -> list[Frame]:
    added = {"type": "conversation.item.added", "event_id": "event_x", "previous_item_id": None}
    return [frame, {**added, "item": frame["item"]}]


@rule("K-219", broken_by=said(_added, "response.output_item.added"))
def test_what_is_said_beside_stays_outside(talking: Desk) -> None:
    mark = len(talking.frames)
    beside(talking)
    talking.answer("The user is lost.")
    assert talking.one("response.output_text.done")["text"] == "The user is lost."
    assert not [kind for kind in talking.types[mark:] if kind.startswith("conversation.")]
    talking.respond()
    assert read(talking) == [QUESTION]


SAID = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hi."}]}


@rule("K-220", broken_by=told_without("response.create", "response.input"))
@rule("K-221", broken_by=told_with("response.create", "response.input", []))
@rule(
    "K-222", broken_by=insert(CREATED, {"type": "conversation.item.added", "item": {"id": "item_x"}}, nth=1)
)
@pytest.mark.parametrize("conversation", ["none", "auto"])
def test_input_takes_the_place_of_the_conversation(talking: Desk, conversation: str) -> None:
    talking.say("Thank you.")
    mark = len(talking.frames)
    given = ([], [{"type": "item_reference", "id": "item_question"}], [SAID])
    contexts: list[list[str]] = []
    for items in given:
        talking.respond(conversation=conversation, input=items)
        contexts.append(read(talking))
        talking.end()
    assert contexts == [[], [QUESTION], ["Say hi."]]
    assert not [kind for kind in talking.types[mark:] if kind.startswith("conversation.")]
    talking.respond(conversation=conversation, input=[{"type": "item_reference", "id": "item_x"}])
    assert talking.one("error")["error"]["param"] == "response.input[0].id"
    assert len(talking.of(CREATED)) == 3


def _cancelled(frame: Frame) -> list[Frame]:
    response = {"id": "resp_000000000000000000001", "status": "cancelled"}
    return [frame, {"type": DONE, "event_id": "event_x", "response": response}]


@rule("K-223", broken_by=said(_cancelled, "input_audio_buffer.speech_started"))
def test_speech_does_not_end_a_response_beside(talking: Desk) -> None:
    other = beside(talking)
    talking.words("A long")
    talking.respond()
    mine = talking.generating
    talking.speak(640)
    assert ended(talking) == {mine: "cancelled"}
    talking.engine_says(engine.GenerationEnded(response_id=other))
    assert ended(talking)[other] == "completed"


@rule("K-224", broken_by=told_with("response.cancel", "response_id", "resp_000000000000000000001"))
def test_a_response_beside_is_cancelled_by_name_only(talking: Desk) -> None:
    other = beside(talking)
    talking.cancel()
    assert talking.one("error")["error"]["code"] == "response_cancel_not_active"
    assert ended(talking) == {}
    talking.respond()
    mine = talking.generating
    talking.cancel()
    assert ended(talking) == {mine: "cancelled"}
    talking.cancel(response_id=other)
    assert ended(talking) == {mine: "cancelled", other: "cancelled"}
