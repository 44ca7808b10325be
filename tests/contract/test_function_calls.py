"""C10: calls of functions that the peer carries out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
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
    put,
    said,
    told_with,
    told_without,
    unheard,
    without,
)
from tests.contract.desk import Desk
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.engines.chat import ChatCall, ChatRequest, ChatText
from kaiwa.engines.dialogue.model import answer
from kaiwa.events import engine
from kaiwa.events.items import FunctionCall, FunctionCallOutput

ADDED, DONE = "response.output_item.added", "response.output_item.done"
ARGUMENTS = "response.function_call_arguments"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tell the weather in a city.",
    "parameters": CITY,
}
NEWS = {
    "type": "function",
    "name": "get_news",
    "description": "Read the latest news.",
    "parameters": {"type": "object", "properties": {}},
}
TOKYO = '{"city":"東京"}'


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """A desk with two functions, one question, and an answer under way."""
    desk.update(tools=[WEATHER, NEWS], output_modalities=["text"])
    desk.say("東京の天気は？")
    desk.respond()
    return desk


def output(desk: Desk, call_id: str, text: str = "sunny") -> list[Frame]:
    return desk.item({"type": "function_call_output", "call_id": call_id, "output": text})


def calls(desk: Desk) -> list[Frame]:
    """Return the calls of the last response that is over."""
    items = desk.last("response.done")["response"]["output"]
    return [item for item in items if item["type"] == "function_call"]


def heard_outputs(desk: Desk) -> list[tuple[str, str]]:
    """Return what the model was told of results in the last question, in order."""
    history = desk.asked_for(engine.Generate)[-1].history
    return [(item.call_id, item.output) for item in history if isinstance(item, FunctionCallOutput)]


@rule("K-177", broken_by=put(ADDED, "item.arguments", "{}"))
@rule("K-179", broken_by=without(f"{ARGUMENTS}.done", "name"))
@rule("K-180", broken_by=put(f"{ARGUMENTS}.done", "call_id", "call_of_another"))
@rule("K-181", broken_by=delay(DONE, until="response.done"))
@rule("K-182", broken_by=put("response.done", "response.output", []))
def test_a_call_is_streamed_and_listed_whole(ready: Desk) -> None:
    ready.call("get_weather", TOKYO, pieces=4)
    ready.end()
    added, done, deltas = ready.one(ADDED), ready.one(DONE), ready.of(f"{ARGUMENTS}.delta")
    written = ready.one(f"{ARGUMENTS}.done")
    call_id = added["item"]["call_id"]
    assert call_id.startswith("call_")
    fields = {"id": added["item"]["id"], "type": "function_call", "name": "get_weather", "call_id": call_id}
    assert added["item"] == {**fields, "status": "in_progress", "arguments": ""}
    assert {frame["call_id"] for frame in (*deltas, written)} == {call_id}
    assert written.get("name") == "get_weather"
    assert "".join(frame["delta"] for frame in deltas) == written["arguments"] == TOKYO
    assert json.loads(written["arguments"]) == {"city": "東京"}
    assert done["item"] == {**fields, "status": "completed", "arguments": TOKYO}
    assert ready.types.index(DONE) < ready.types.index("response.done")
    assert ready.one("response.done")["response"]["output"] == [done["item"]]


def _answers_itself(done: Frame) -> list[Frame]:
    return [done, {"type": "response.created", "event_id": "event_x", "response": {"id": "resp_x"}}]


ANY_ARGUMENTS = st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(), max_size=4)


@rule("K-178", broken_by=put(f"{ARGUMENTS}.delta", "delta", lambda delta: delta[:-1]))
@any_input
@given(arguments=ANY_ARGUMENTS, size=st.integers(0, 12), indent=st.sampled_from([None, 1]))
def test_the_pieces_of_any_arguments_make_them_up(
    planted: Breakage | None, arguments: dict[str, Any], size: int, indent: int | None
) -> None:
    """Some models do not stream arguments (size 0), and some write them anew at the end, with other blanks."""
    desk = Desk(planted)
    desk.respond()
    call = {"response_id": desk.generating, "index": 0, "name": "get_weather"}
    text = json.dumps(arguments)
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else []
    desk.engine_says(*(engine.ArgumentsDelta(**call, delta=piece) for piece in pieces))
    desk.engine_says(engine.ToolCalled(**call, arguments=json.dumps(arguments, indent=indent)))
    desk.end()
    written = desk.one(f"{ARGUMENTS}.done")["arguments"]
    assert "".join(frame["delta"] for frame in desk.of(f"{ARGUMENTS}.delta")) == written
    assert written == calls(desk)[0]["arguments"] and json.loads(written) == arguments


@rule("K-183", broken_by=said(_answers_itself, "response.done"))
def test_nobody_answers_a_call_but_the_peer(ready: Desk) -> None:
    ready.call("get_weather", TOKYO)
    ready.end()
    ready.wait(60)
    output(ready, calls(ready)[0]["call_id"])
    ready.wait(60)
    assert len(ready.of("response.created")) == 1


@rule("K-184", broken_by=put("conversation.item.added", "item.status", "completed", nth=3))
def test_an_output_is_acknowledged_and_read(ready: Desk) -> None:
    ready.call("get_weather", TOKYO)
    ready.end()
    call_id = calls(ready)[0]["call_id"]
    added, done = output(ready, call_id)
    assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
    shown = {
        "id": added["item"]["id"],
        "type": "function_call_output",
        "call_id": call_id,
        "output": "sunny",
    }
    assert added["item"] == done["item"] == shown
    ready.respond()
    assert heard_outputs(ready) == [(call_id, "sunny")]


@rule("K-185", broken_by=unheard("conversation.item.create"))
def test_an_output_may_come_before_its_response_is_over(desk: Desk) -> None:
    desk.update(tools=[WEATHER], output_modalities=["text"])
    desk.respond()
    desk.call("get_weather", TOKYO)
    output(desk, desk.one(DONE)["item"]["call_id"])
    desk.answer("One moment.")
    assert "function_call_output" in [frame["item"]["type"] for frame in desk.of("conversation.item.done")]
    assert not desk.of("error")


def _without_the_first_output(command: engine.Generate) -> list[engine.Generate]:
    kept = [item for item in command.history if not isinstance(item, FunctionCallOutput)]
    outputs = [item for item in command.history if isinstance(item, FunctionCallOutput)]
    return [msgspec.structs.replace(command, history=(*kept, *outputs[1:]))]


@rule("K-186", broken_by=put(f"({ADDED}|{DONE})", "output_index", 0))
@rule("K-187", broken_by=asked(_without_the_first_output, engine.Generate))
@pytest.mark.parametrize("backwards", [False, True])
def test_two_calls_at_once_are_answered_together(ready: Desk, backwards: bool) -> None:
    ready.call("get_weather", TOKYO, index=0)
    ready.call("get_news", index=1)
    ready.end()
    weather, news = ready.of(DONE)
    assert [weather["output_index"], news["output_index"]] == [0, 1]
    assert len({weather["item"]["id"], news["item"]["id"]}) == 2
    ids = [weather["item"]["call_id"], news["item"]["call_id"]]
    assert len(set(ids)) == 2 and [item["call_id"] for item in calls(ready)] == ids
    outputs = [(call_id, f"result of {call_id}") for call_id in ids]
    for call_id, text in reversed(outputs) if backwards else outputs:
        output(ready, call_id, text)
    ready.respond()
    assert sorted(heard_outputs(ready)) == sorted(outputs)
    assert not ready.of("error")


def think(desk: Desk) -> None:
    """Let the embedded chat model answer the last question."""
    asked = desk.asked_for(engine.Generate)[-1]
    shared = {name: getattr(asked, name) for name in ("history", "instructions", "tools", "tool_choice")}
    for event in answer(ChatRequest(**shared, language="en", now=datetime(2026, 11, 21, tzinfo=UTC))):
        if isinstance(event, ChatText):
            desk.words(event.text)
        elif isinstance(event, ChatCall):
            desk.call(event.name, event.arguments, index=event.index)
    desk.end()


@rule("K-188", broken_by=told_with("response.create", "response.tool_choice", "auto"))
@pytest.mark.parametrize(
    ("choice", "question", "called"),
    [
        ("none", "What is the weather in Tokyo?", []),
        ("required", "Hm.", ["get_news"]),
        ({"type": "function", "name": "get_news"}, "What is the weather in Tokyo?", ["get_news"]),
    ],
)
def test_tool_choice_decides_what_is_called(
    desk: Desk, choice: Any, question: str, called: list[str]
) -> None:
    desk.update(tools=[NEWS, WEATHER], output_modalities=["text"])
    desk.say(question)
    desk.respond(tool_choice=choice)
    think(desk)
    assert [call["name"] for call in calls(desk)] == called


@rule("K-189", broken_by=put(f"{ARGUMENTS}.done", "arguments", ""))
@pytest.mark.parametrize("nothing", ["", "{}"])
def test_a_call_without_arguments_has_an_empty_object(ready: Desk, nothing: str) -> None:
    ready.call("get_news", nothing)
    ready.end()
    assert ready.one(f"{ARGUMENTS}.done")["arguments"] == "{}" == calls(ready)[0]["arguments"]


@rule("K-190", broken_by=put(f"{ARGUMENTS}.*", "output_index", 0))
def test_words_and_a_call_share_a_response(ready: Desk) -> None:
    ready.words("Let me look.")
    ready.call("get_weather", TOKYO, index=0)
    ready.end()
    places = {frame["item"]["type"]: frame["output_index"] for frame in ready.of(DONE)}
    assert places == {"message": 0, "function_call": 1}
    assert ready.one("response.output_text.delta")["output_index"] == 0
    assert ready.one(f"{ARGUMENTS}.done")["output_index"] == 1
    assert {frame["item"]["status"] for frame in ready.of(DONE)} == {"completed"}


@rule("K-191", broken_by=drop("response.created", nth=2))
def test_the_talk_goes_on_while_a_call_is_out(ready: Desk) -> None:
    ready.call("get_weather", TOKYO)
    ready.end()
    call_id = calls(ready)[0]["call_id"]
    ready.speak(640)
    ready.pause(640)
    assert len(ready.of("response.created")) == 2
    ready.answer("Still looking.")
    output(ready, call_id, "rain")
    ready.respond()
    assert heard_outputs(ready) == [(call_id, "rain")]
    assert not ready.of("error")


@rule("K-192", broken_by=told_without("response.create", "response.tools"))
@rule("K-195", broken_by=unheard("session.update"))
def test_tools_may_change_for_one_response_or_for_all_that_follow(desk: Desk) -> None:
    offered: list[list[str]] = []
    for session_tools, own in (([WEATHER], None), (None, [NEWS]), (None, None), ([NEWS], None)):
        if session_tools:
            desk.update(tools=session_tools)
        desk.respond(tools=own)
        offered.append([tool.name for tool in desk.asked_for(engine.Generate)[-1].tools])
        desk.answer("So.")
    assert offered == [["get_weather"], ["get_news"], ["get_weather"], ["get_news"]]


@rule("K-193", broken_by=told_with("conversation.item.create", "item.output", lambda text: text[:65_536]))
def test_a_long_result_is_read_to_its_end(desk: Desk) -> None:
    desk.update(tools=[WEATHER])
    desk.respond()
    desk.call("get_weather", TOKYO)
    desk.end()
    long = "晴れ" * 50_000
    output(desk, calls(desk)[0]["call_id"], long)
    desk.respond()
    assert heard_outputs(desk)[0][1] == long


@rule("K-194", broken_by=unheard("conversation.item.delete"))
def test_a_deleted_call_takes_no_output(ready: Desk) -> None:
    ready.call("get_weather", TOKYO)
    ready.end()
    call = calls(ready)[0]
    ready.send({"type": "conversation.item.delete", "item_id": call["id"]})
    output(ready, call["call_id"])
    error = ready.one("error")["error"]
    assert (error["code"], error["param"]) == ("invalid_tool_call_id", "item.call_id")
    ready.respond()
    history = ready.asked_for(engine.Generate)[-1].history
    assert not [item for item in history if isinstance(item, FunctionCall | FunctionCallOutput)]
