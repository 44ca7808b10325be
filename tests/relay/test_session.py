"""What passes through a relayed conversation, what is pinned, and what is kaiwa's own."""

from __future__ import annotations

import json

from tests.relay.relay_desk import MEASURE, TEXT_ONLY, RelayDesk

from kaiwa.events import engine
from kaiwa.events.actions import Send
from kaiwa.events.own import ToolProgressed
from kaiwa.events.tools import ToolProgress
from kaiwa.session.relay.profile import RelayProfile

AGENT = RelayProfile(session={"instructions": "You rent cars."}, pinned=("instructions",))


def with_tool(**fields: object) -> RelayDesk:
    return RelayDesk(
        profile=RelayProfile(session={"output_modalities": ["text"]}, **fields), tools=(MEASURE,)
    )  # type: ignore[arg-type]


def called(desk: RelayDesk, arguments: str = "{}") -> str:
    """The user asks, the service calls `measure`; return the call's id."""
    desk.say("How long is it?")
    desk.respond()
    desk.service.call("measure", arguments)
    desk.service.end()
    desk.hear()
    return desk.runs[-1].call.call_id


# --- passing -----------------------------------------------------------------------------------


def test_a_turn_of_words_passes_as_the_service_says_it() -> None:
    desk = RelayDesk()
    desk.update(**TEXT_ONLY)
    desk.say("Hello")
    desk.respond()
    desk.service.answer("Hi", " there.")
    desk.hear()
    assert desk.frames == desk.service.frames


def test_frames_keep_their_very_text_both_ways() -> None:
    desk = RelayDesk()
    odd = '{ "type":"input_audio_buffer.append","audio":"AAAA" , "event_id":"a" }'
    event = desk._codec.decode_client(odd)
    assert desk._codec.encode_server(event) == odd  # type: ignore[arg-type]
    delta = '{"delta":"AAAA",  "type":"response.output_audio.delta","event_id":"e","new":[1]}'
    desk._strict = False
    desk.hear_text(delta)
    assert desk.texts[-1] == delta


def test_what_a_peer_says_before_the_greeting_waits_and_keeps_its_order() -> None:
    desk = RelayDesk(profile=AGENT, greets=False)
    desk.service.send(
        {"type": "input_audio_buffer.clear"}
    )  # the service is slow: nothing was heard of it yet
    mark = len(desk.service.frames)
    for number in range(3):
        event = desk._codec.decode_client(json.dumps({"type": "response.cancel", "event_id": f"e{number}"}))
        desk._feed(event)
    assert desk.forwarded == [] and mark == len(desk.service.frames)
    desk.hear()
    assert [frame["type"] for frame in desk.forwarded] == ["session.update", *["response.cancel"] * 3]
    assert [frame["error"]["event_id"] for frame in desk.of("error")] == ["e0", "e1", "e2"]


def test_a_flood_before_the_greeting_ends_the_conversation() -> None:
    desk = RelayDesk(profile=RelayProfile(pinned=("voice",), held_frames=3), greets=False)
    for _ in range(4):
        desk._feed(desk._codec.decode_client('{"type":"input_audio_buffer.clear"}'))
    assert desk.one("error")["error"]["code"] == "server_busy"
    assert desk.hung is not None and desk.hung[0] == 1013


def test_a_frame_that_is_no_event_is_answered_here() -> None:
    desk = RelayDesk()
    assert [frame["error"]["code"] for frame in desk.send("{")] == ["invalid_json"]
    assert [frame["error"]["code"] for frame in desk.send(b"\0")] == ["invalid_event"]
    assert desk.forwarded == []


def test_a_type_kaiwa_does_not_know_is_the_services_to_answer() -> None:
    desk = RelayDesk()
    desk.send({"type": "session.sing", "event_id": "mine"})
    assert desk.forwarded == [{"type": "session.sing", "event_id": "mine"}]
    assert desk.one("error")["error"]["event_id"] == "mine"


# --- the operator's settings -------------------------------------------------------------------


def test_the_peer_is_greeted_with_the_operators_settings() -> None:
    desk = RelayDesk(profile=AGENT)
    assert desk.types == ["session.created"]
    assert desk.one("session.created")["session"]["instructions"] == "You rent cars."
    assert desk.one("session.created")["event_id"] == desk.service.one("session.created")["event_id"]


def test_a_pinned_setting_cannot_be_changed_and_nothing_of_the_update_is_applied() -> None:
    desk = RelayDesk(profile=AGENT)
    desk.send(
        {
            "type": "session.update",
            "event_id": "mine",
            "session": {"type": "realtime", "instructions": "Sell cars.", **TEXT_ONLY},
        }
    )
    error = desk.one("error")["error"]
    assert (error["code"], error["param"], error["event_id"]) == (
        "parameter_pinned",
        "session.instructions",
        "mine",
    )
    assert "operator" in error["message"]
    assert len(desk.told("session.update")) == 1  # the operator's own


def test_an_answer_cannot_be_asked_for_with_a_pinned_setting() -> None:
    desk = RelayDesk(profile=AGENT)
    desk.respond(instructions="Sell cars.")
    assert desk.one("error")["error"]["param"] == "response.instructions"
    assert desk.told("response.create") == []


def test_saying_a_pinned_setting_as_it_is_changes_nothing_and_passes() -> None:
    desk = RelayDesk(profile=AGENT)
    desk.update(instructions="You rent cars.", **TEXT_ONLY)
    desk.respond(instructions=None)
    assert desk.of("error") == []
    assert desk.one("session.updated")["session"]["output_modalities"] == ["text"]
    assert len(desk.told("response.create")) == 1


def test_a_stored_prompt_does_not_get_around_pinned_instructions() -> None:
    desk = RelayDesk(profile=AGENT)
    desk.update(prompt={"id": "pmpt_1"})
    assert desk.one("error")["error"]["param"] == "session.prompt"


def test_a_key_said_twice_is_judged_as_it_is_sent() -> None:
    desk = RelayDesk(profile=AGENT)
    desk.send(
        '{"type":"session.update","session":{"type":"realtime","instructions":"Sell."},"session":{"type":"realtime"}}'
    )
    assert desk.forwarded[-1] == {"type": "session.update", "session": {"type": "realtime"}}


def test_settings_inside_the_audio_object_can_be_pinned() -> None:
    desk = RelayDesk(profile=RelayProfile(pinned=("voice", "transcription")))
    desk.update(audio={"output": {"voice": "ash"}})
    desk.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
    desk.update(audio={"input": {"turn_detection": None}})
    params = [frame["error"]["param"] for frame in desk.of("error")]
    assert params == ["session.audio.output.voice", "session.audio.input.transcription"]
    assert len(desk.of("session.updated")) == 1


def test_a_preview_peer_reads_the_pinned_name_in_its_own_dialect() -> None:
    desk = RelayDesk(profile=RelayProfile(pinned=("voice",)), dialect="preview")
    desk.update(voice="ash")
    assert desk.one("error")["error"]["param"] == "session.voice"


def test_settings_the_service_refuses_end_the_conversation_and_name_the_operator() -> None:
    desk = RelayDesk(profile=RelayProfile(session={"audio": {"output": {"speed": 9}}}))
    error = desk.one("error")["error"]
    assert error["code"] == "upstream_refused_settings" and "session.audio.output.speed" in error["message"]
    assert desk.hung is not None and desk.hung[0] == 1011
    assert "session.created" not in desk.types


# --- tools of the server -----------------------------------------------------------------------


def test_the_agents_tools_are_offered_beside_the_peers() -> None:
    desk = with_tool()
    desk.update(tools=[{"type": "function", "name": "dance"}])
    assert [tool["name"] for tool in desk.told("session.update")[-1]["session"]["tools"]] == [
        "dance",
        "measure",
    ]
    assert [tool["name"] for tool in desk.last("session.updated")["session"]["tools"]] == ["dance"]
    assert desk.one("session.created")["session"]["tools"] == []


def test_a_call_of_the_server_is_carried_out_and_answered_without_the_peer_seeing_it() -> None:
    desk = with_tool()
    call_id = called(desk, '{"what":"the car"}')
    assert desk.runs[0].call.name == "measure" and desk.runs[0].call.arguments == '{"what":"the car"}'
    desk.settle(call_id, "4 metres")
    desk.wait(0.1)
    desk.service.answer("It is 4 metres long.")
    desk.hear()
    assert desk.told("conversation.item.create")[-1]["item"]["output"] == "4 metres"
    assert len(desk.told("response.create")) == 2
    assert "function_call" not in json.dumps(desk.frames) and "measure" not in json.dumps(desk.frames)
    assert next(frame["response"]["output"] for frame in desk.of("response.done")) == []
    assert desk.last("response.output_text.done")["text"] == "It is 4 metres long."


def test_items_are_linked_to_the_last_one_the_peer_knows() -> None:
    desk = with_tool()
    call_id = called(desk)
    desk.settle(call_id)
    desk.wait(0.1)
    desk.service.answer("Done.")
    desk.hear()
    added = desk.of("conversation.item.added")
    user, answer = added[0], added[-1]
    assert [frame["item"]["role"] for frame in added] == ["user", "assistant"]
    assert answer["previous_item_id"] == user["item"]["id"]
    assert desk.of("conversation.item.done")[-1]["previous_item_id"] == user["item"]["id"]


def test_calls_are_shown_where_the_operator_wants_it() -> None:
    desk = with_tool(hide_tools=False)
    call_id = called(desk)
    desk.settle(call_id)
    kinds = [frame["item"]["type"] for frame in desk.of("conversation.item.added")]
    assert kinds == ["message", "function_call", "function_call_output"]
    assert desk.of("response.done")[0]["response"]["output"][0]["name"] == "measure"


def test_progress_is_told_of_calls_that_are_shown_and_of_no_others() -> None:
    for shown in (True, False):
        desk = with_tool(hide_tools=not shown)
        call_id = called(desk)
        for told in (call_id, "call_of_nobody"):
            desk.session.receive(ToolProgress(call_id=told, fraction=0.5, text="halfway"), desk.now)
        events = [action.event for action in desk.session.actions() if isinstance(action, Send)]
        progress = [(event.call_id, event.text) for event in events if isinstance(event, ToolProgressed)]
        assert progress == ([(call_id, "halfway")] if shown else [])


def test_several_calls_of_one_response_are_answered_together() -> None:
    desk = with_tool()
    desk.say("Both, please.")
    desk.respond()
    desk.service.call("measure", "{}", index=0)
    desk.service.call("measure", "{}", index=1)
    desk.service.end()
    desk.hear()
    first, second = (run.call.call_id for run in desk.runs)
    desk.settle(first)
    assert len(desk.told("response.create")) == 1
    desk.wait(0.1)
    desk.settle(second)
    desk.wait(0.1)
    assert len(desk.told("response.create")) == 2


def test_talk_goes_on_while_a_tool_runs_for_twenty_seconds() -> None:
    desk = with_tool()
    call_id = called(desk)
    desk.wait(10)
    desk.say("And the weather?")
    desk.respond()
    desk.service.answer("Sunny.")
    desk.hear()
    assert desk.last("response.output_text.done")["text"] == "Sunny."
    desk.wait(10)
    desk.settle(call_id, "4 metres")
    desk.wait(0.1)
    desk.service.answer("It is 4 metres long.")
    desk.hear()
    assert desk.last("response.output_text.done")["text"] == "It is 4 metres long."


def test_an_answer_waits_for_the_response_that_is_under_way() -> None:
    desk = with_tool()
    call_id = called(desk)
    desk.say("Another thing.")
    desk.respond()
    desk.service.words("Well,")
    desk.hear()
    desk.settle(call_id)
    desk.wait(5)
    assert len(desk.told("response.create")) == 2
    desk.service.end()
    desk.hear()
    desk.wait(1)
    assert len(desk.told("response.create")) == 3


def test_a_response_that_has_read_the_output_is_answer_enough() -> None:
    desk = with_tool()
    call_id = called(desk)
    desk.service.speak(640)
    desk.hear()
    desk.settle(call_id)
    desk.wait(1)
    desk.service.pause(1600)
    desk.hear()
    desk.service.answer("It is 4 metres long.")
    desk.hear()
    desk.wait(10)
    assert len(desk.told("response.create")) == 1  # the peer's own; the user's turn brought the second


def test_audio_that_is_thrown_away_does_not_hold_up_an_answer() -> None:
    desk = with_tool()
    call_id = called(desk)
    desk.service.speak(640)
    desk.hear()
    desk.settle(call_id)
    desk.wait(5)
    assert len(desk.told("response.create")) == 1
    desk.send({"type": "input_audio_buffer.clear"})
    desk.wait(5)
    assert len(desk.told("response.create")) == 2


def test_a_peers_tool_hides_the_agents_of_the_same_name() -> None:
    desk = with_tool()
    desk.update(tools=[{"type": "function", "name": "measure"}])
    desk.say("How long?")
    desk.respond()
    desk.service.call("measure")
    desk.service.end()
    desk.hear()
    assert desk.runs == []
    assert desk.one("response.function_call_arguments.done")["name"] == "measure"


def test_a_refused_update_leaves_the_agents_tools_to_the_agent() -> None:
    desk = with_tool()
    desk.update(tools=[{"type": "function", "name": "measure"}], output_modalities=["smell"])
    error = desk.one("error")["error"]
    assert error["event_id"] is None, "the peer gave none, so it gets none back"
    called(desk)


def test_a_response_outside_the_conversation_gets_the_peers_tools_only() -> None:
    desk = with_tool()
    desk.update(tools=[{"type": "function", "name": "dance"}])
    desk.respond(conversation="none")
    desk.respond(tools=[{"type": "function", "name": "sing"}])
    apart, inside = (frame["response"] for frame in desk.told("response.create"))
    assert [tool["name"] for tool in apart["tools"]] == ["dance"]
    assert [tool["name"] for tool in inside["tools"]] == ["sing", "measure"]


def test_a_call_of_a_cut_answer_is_not_carried_out() -> None:
    desk = with_tool()
    desk.say("How long?")
    desk.respond()
    desk.service.engine_says(
        engine.ArgumentsDelta(response_id=desk.service.generating, index=0, name="measure", delta="{")
    )
    desk.hear()
    desk.send({"type": "response.cancel"})
    assert desk.runs == [] and desk.one("response.done")["response"]["status"] == "cancelled"


def test_errors_of_kaiwas_own_frames_never_reach_the_peer() -> None:
    desk = with_tool()
    call_id = called(desk)
    call_item = next(
        frame
        for frame in desk.service.of("conversation.item.added")
        if frame["item"]["type"] == "function_call"
    )
    desk.service.send({"type": "conversation.item.delete", "item_id": call_item["item"]["id"]})
    desk.hear()
    desk.settle(call_id)
    desk.wait(5)
    assert desk.of("error") == [] and len(desk.told("response.create")) == 1
    assert [frame["error"]["code"] for frame in desk.service.of("error")] == ["invalid_tool_call_id"]
