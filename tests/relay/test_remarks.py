"""While tools run in a relayed conversation: silences are bridged, interim answers told, calls stopped."""

from __future__ import annotations

import json
from typing import Any

from tests.relay.relay_desk import TEXT_ONLY, RelayDesk

from kaiwa.events.tools import STOP_TOOL_CALL, ToolSaid, ToolSpec
from kaiwa.session.relay.profile import RelayProfile

SEARCH = ToolSpec(name="search", parameters={"type": "object"}, server=True, changes=False, background=True)
GUESS = ToolSpec(
    name="guess", parameters={"type": "object"}, server=True, changes=False, cancel_on_interruption=True
)
BOOK = ToolSpec(name="book", parameters={"type": "object"}, server=True, changes=True, background=True)
FILLER_S = 1.5


def desk(*tools: ToolSpec) -> RelayDesk:
    profile = RelayProfile(session=TEXT_ONLY, filler_s=FILLER_S, filler="お調べしますね。")
    return RelayDesk(profile=profile, tools=tools or (SEARCH,))


def calling(line: RelayDesk, name: str = "search", arguments: str = "{}") -> str:
    """The service answers the caller with a call and no word; return the call's id."""
    line.say("Please.")
    line.respond()
    line.service.call(name, arguments)
    line.service.end()
    line.hear()
    return line.runs[-1].call.call_id


def asked(line: RelayDesk) -> list[dict[str, Any]]:
    """What kaiwa asked the service to say by itself, beyond the answers to results."""
    mine = [frame for frame in line.told("response.create") if "response" in frame]
    return [frame["response"] for frame in mine if frame["response"].get("metadata") == {"kaiwa": "remark"}]


def test_a_silence_while_a_tool_runs_is_bridged_once_and_the_result_told_after() -> None:
    line = desk()
    call_id = calling(line)
    line.wait(FILLER_S - 0.1)
    assert not asked(line)
    line.wait(0.2)
    (remark,) = asked(line)
    assert "お調べしますね。" in remark["instructions"]
    assert remark["input"] == [] and remark["tools"] == [] and remark["tool_choice"] == "none"

    # The result that comes meanwhile waits for the end of these words, and is told although they began first.
    line.settle(call_id)
    before = len(line.told("response.create"))
    line.service.answer("お調べしますね。")
    line.hear()
    line.wait(1)
    assert len(line.told("response.create")) == before + 1 and len(asked(line)) == 1
    line.service.answer("42です。")
    line.hear()
    line.wait(10)
    assert len(line.told("response.create")) == before + 1


def test_nothing_is_said_into_a_silence_that_ended_before() -> None:
    line = desk()
    call_id = calling(line)
    line.settle(call_id)
    line.service.answer("It is 42.")
    line.hear()
    line.wait(10)
    assert not asked(line)


def test_an_interim_answer_is_told_when_the_service_is_free_and_not_after_the_result() -> None:
    line = desk()
    call_id = calling(line)
    line.hear(ToolSaid(call_id=call_id, text="one found so far"))
    (remark,) = asked(line)
    assert "one found so far" in remark["instructions"]
    line.hear(ToolSaid(call_id=call_id, text="two found"))
    line.settle(call_id)
    line.service.answer("One so far.")
    line.hear()
    line.service.answer("It is 42.")
    line.hear()
    line.wait(10)
    assert len(asked(line)) == 1
    line.hear(ToolSaid(call_id=call_id, text="late"))
    assert len(asked(line)) == 1


def test_the_service_may_stop_what_takes_long_and_the_peer_sees_none_of_it() -> None:
    line = desk(SEARCH, BOOK)
    offered = line.told("session.update")[0]["session"]["tools"]
    stop = next(tool for tool in offered if tool["name"] == STOP_TOOL_CALL)
    assert stop["parameters"]["properties"]["name"]["enum"] == ["search"]
    call_id = calling(line)

    line.say("Stop the search.")
    line.respond()
    line.service.call(STOP_TOOL_CALL, '{"name":"search"}')
    line.service.end()
    line.hear()
    assert line.stopped == [call_id]
    items = [frame["item"] for frame in line.told("conversation.item.create")]
    outputs = [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]
    assert len(outputs) == 2 and all(output["stopped"] for output in outputs)
    assert STOP_TOOL_CALL not in str(line.frames) and "function_call" not in str(line.frames)
    # The service tells of it, once; what the tool gives all the same is nobody's.
    line.service.answer("Stopped.")
    line.hear()
    mark = len(line.forwarded)
    line.settle(call_id)
    line.wait(10)
    assert len(line.forwarded) == mark


def test_a_change_is_not_stopped_and_without_long_tools_there_is_nothing_to_stop_with() -> None:
    line = desk(SEARCH, BOOK)
    calling(line, "book")
    line.say("Stop it.")
    line.respond()
    line.service.call(STOP_TOOL_CALL, '{"name":"book"}')
    line.service.end()
    line.hear()
    assert not line.stopped
    assert STOP_TOOL_CALL not in str(desk(GUESS).forwarded)


def test_a_caller_who_speaks_stops_the_calls_declared_so_and_no_other() -> None:
    line = desk(SEARCH, GUESS)
    kept, stopped = calling(line), calling(line, "guess")
    started = {"event_id": "event_s", "audio_start_ms": 0, "item_id": "item_s"}
    line.hear_text(json.dumps({"type": "input_audio_buffer.speech_started", **started}))
    assert line.stopped == [stopped]
    items = [frame["item"] for frame in line.told("conversation.item.create")]
    outputs = {item["call_id"] for item in items if item["type"] == "function_call_output"}
    assert outputs == {stopped} and kept not in outputs
