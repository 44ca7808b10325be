"""Calls: those the client answers, and those kaiwa carries out itself while the talk goes on."""

from __future__ import annotations

from tests.session.harness import Talk, configured, output_of, said, sound

from kaiwa.events import client, engine, server
from kaiwa.events.config import FunctionTool, ServerVad
from kaiwa.events.items import FunctionCall, FunctionCallOutput
from kaiwa.events.tools import ToolProgress, ToolSpec

WEATHER = ToolSpec(name="get_weather", changes=False)
SEARCH = ToolSpec(name="search_database", changes=False)


def called(response: str, index: int, name: str = "get_weather", arguments: str = "{}") -> engine.ToolCalled:
    return engine.ToolCalled(response_id=response, index=index, name=name, arguments=arguments)


def asked(*names: str, detection=None) -> Talk:
    """Return a conversation whose first response called these tools of the server, and ended."""
    talk = Talk(configured(detection), tools=(WEATHER, SEARCH))
    talk.do(said("look it up"), client.ResponseRequested())
    talk.do(*[called("resp_1", index, name) for index, name in enumerate(names)])
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    return talk


def test_a_call_of_the_client_streams_its_arguments_and_waits():
    talk = Talk(configured(tools=(FunctionTool(name="f"),)))
    talk.do(client.ResponseRequested())
    lines = talk.do(
        engine.ArgumentsDelta(response_id="resp_1", index=0, name="f", delta='{"a"'),
        engine.ArgumentsDelta(response_id="resp_1", index=0, name="f", delta=":1}"),
        called("resp_1", 0, "f", '{"a":1}'),
        engine.GenerationEnded(response_id="resp_1"),
    )
    assert lines == [
        "response.output_item.added item_1 in_progress",
        "conversation.item.added item_1 after None",
        'response.function_call_arguments.delta {"a"',
        "response.function_call_arguments.delta :1}",
        "response.function_call_arguments.done",
        "conversation.item.done item_1 after None",
        "response.output_item.done item_1 completed",
        "response.done resp_1 completed",
    ]
    assert talk.do(output_of("call_1")) == [
        "conversation.item.added item_2 after item_1",
        "conversation.item.done item_2 after item_1",
    ]
    talk.do(client.ResponseRequested())
    assert [type(item) for item in talk.of(engine.Generate)[-1].history] == [FunctionCall, FunctionCallOutput]
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    talk.check()


def test_two_calls_at_once_take_their_outputs_in_either_order():
    for order in (("call_1", "call_2"), ("call_2", "call_1")):
        talk = Talk(configured(tools=(FunctionTool(name="f"),)))
        talk.do(client.ResponseRequested(), called("resp_1", 0, "f"), called("resp_1", 1, "f"))
        talk.do(engine.GenerationEnded(response_id="resp_1"))
        assert [event.output_index for event in talk.of(server.OutputItemDone)] == [0, 1]
        talk.do(*[output_of(call_id) for call_id in order], client.ResponseRequested())
        assert len(talk.of(engine.Generate)[-1].history) == 4
        talk.do(engine.GenerationEnded(response_id="resp_2"))
        talk.check()


def test_speech_and_a_call_share_a_response():
    talk = Talk(tools=(WEATHER,))
    talk.do(client.ResponseRequested(), engine.TextDelta(response_id="resp_1", text="Let me look."))
    talk.do(called("resp_1", 0), engine.AudioDelta(response_id="resp_1", pcm=sound(200)))
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    output = talk.of(server.ResponseDone)[0].response.output
    assert [item.status for item in output] == ["completed", "completed"]
    talk.check()


def test_outputs_need_a_call_and_answer_it_once():
    talk = Talk(configured(tools=(FunctionTool(name="f"),)))
    assert talk.do(output_of("call_9")) == ["error invalid_tool_call_id item.call_id None"]
    talk.do(client.ResponseRequested(), called("resp_1", 0, "f"), output_of("call_1"))
    assert talk.do(output_of("call_1")) == ["error invalid_tool_call_id item.call_id None"]
    seeded = FunctionCall(name="f", call_id="mine", arguments="{}")
    talk.do(client.ItemCreated(item=seeded), output_of("mine"))
    talk.do(client.ItemDeleteRequested(item_id=talk.of(server.ItemAdded)[-2].item.id))
    assert talk.do(output_of("mine")) == ["error invalid_tool_call_id item.call_id None"]


def test_a_tool_of_the_server_runs_and_its_result_is_answered():
    talk = Talk(tools=(WEATHER,))
    talk.do(client.ResponseRequested())
    assert talk.of(engine.Generate)[0].tools == (ToolSpec(name="get_weather", changes=False, server=True),)
    lines = talk.do(called("resp_1", 0, arguments='{"city":"東京"}'))
    assert lines[-2:] == [
        "response.output_item.done item_1 completed",
        'run call_1 get_weather({"city":"東京"})',
    ]
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    assert talk.settle("call_1") == [
        "conversation.item.added item_2 after item_1",
        "conversation.item.done item_2 after item_1",
        "response.created resp_2",
        "ask Generate resp_2",
    ]
    assert talk.settle("call_1") == []
    assert talk.settle("call_7") == []
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    talk.check()


def test_a_tool_of_the_client_hides_the_server_s_of_the_same_name():
    talk = Talk(configured(tools=(FunctionTool(name="get_weather"),)), tools=(WEATHER,))
    talk.do(client.ResponseRequested(), called("resp_1", 0))
    assert not any(line.startswith("run") for line in talk._lines(0))


def test_the_talk_goes_on_while_a_tool_takes_twenty_seconds():
    talk = asked("search_database", detection=ServerVad())
    for turn in (2, 3):
        talk.wait(5)
        talk.speak(640)
        assert talk.pause(256)[-2:] == [f"response.created resp_{turn}", f"ask Generate resp_{turn}"]
        history = talk.of(engine.Generate)[-1].history
        assert any(isinstance(item, FunctionCall) for item in history)
        talk.do(engine.TextDelta(response_id=f"resp_{turn}", text="はい。"))
        talk.do(engine.GenerationEnded(response_id=f"resp_{turn}"))
    progress = ToolProgress(call_id="call_1", fraction=0.5)
    assert talk.do(progress) == ["kaiwa.tool.progress"]
    assert talk.session.tool_progress == {"call_1": progress}
    talk.wait(10)
    assert talk.settle("call_1", "found")[-1] == "ask Generate resp_4"
    assert talk.of(engine.Generate)[-1].history[-1].output == "found"
    talk.do(engine.GenerationEnded(response_id="resp_4"))
    talk.check()


def test_a_result_that_comes_while_the_user_speaks_rides_on_the_turn():
    talk = asked("search_database", detection=ServerVad())
    talk.speak(640)
    assert talk.settle("call_1")[-1].startswith("conversation.item.done")
    lines = talk.pause(320)
    assert [line for line in lines if "resp" in line] == ["response.created resp_2", "ask Generate resp_2"]
    assert not any(command.generate for command in talk.of(engine.Prepare))
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    assert talk.wait(5) == []


def test_a_result_that_comes_during_an_answer_waits_for_its_end():
    talk = asked("search_database")
    talk.do(said("meanwhile"), client.ResponseRequested())
    assert not any("resp" in line for line in talk.settle("call_1"))
    assert talk.do(engine.GenerationEnded(response_id="resp_2"))[-1] == "ask Generate resp_3"


def test_parallel_tools_are_answered_together():
    talk = asked("get_weather", "search_database")
    assert "response.created resp_2" not in talk.settle("call_1")
    talk.wait(0.2)
    assert talk.settle("call_2")[-1] == "ask Generate resp_2"
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    assert talk.wait(5) == []


def test_a_slow_tool_does_not_hold_up_the_quick_ones():
    talk = asked("get_weather", "search_database")
    talk.settle("call_1")
    assert talk.wait(0.39) == []
    assert talk.wait(0.02) == ["response.created resp_2", "ask Generate resp_2"]
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    assert talk.settle("call_2")[-1] == "ask Generate resp_3"


def test_a_cancelled_response_keeps_its_finished_calls_and_drops_the_rest():
    talk = Talk(tools=(WEATHER,))
    talk.do(client.ResponseRequested(), called("resp_1", 0))
    talk.do(engine.ArgumentsDelta(response_id="resp_1", index=1, name="get_weather", delta='{"ci'))
    talk.do(client.ResponseCancelled(), called("resp_1", 1))
    runs = [line for line in talk._lines(0) if line.startswith("run")]
    assert runs == ["run call_1 get_weather({})"]
    assert talk.settle("call_1")[-1] == "ask Generate resp_2"
    calls = [item for item in talk.of(engine.Generate)[-1].history if isinstance(item, FunctionCall)]
    assert [call.call_id for call in calls] == ["call_1"]
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    talk.check()


def test_out_of_band_responses_are_not_offered_the_server_s_tools():
    talk = Talk(tools=(WEATHER,))
    talk.do(client.ResponseRequested(response=client.ResponseParams(conversation="none")))
    assert talk.of(engine.Generate)[0].tools == ()


def test_deleting_a_running_call_stops_it():
    talk = asked("search_database")
    call_item = talk.of(server.OutputItemDone)[0].item.id
    lines = talk.do(client.ItemDeleteRequested(item_id=call_item))
    assert lines == [f"conversation.item.deleted {call_item}", "stop call_1"]
    assert talk.settle("call_1") == []


def test_a_peer_that_leaves_stops_everything_and_hears_nothing_more():
    talk = asked("search_database")
    talk.do(client.ResponseRequested())
    assert talk.do(client.PeerGone()) == ["ask Stop resp_2", "stop call_1"]
    assert talk.do(engine.GenerationEnded(response_id="resp_2"), said("hello?")) == []
    assert talk.settle("call_1") == [] and talk.session.next_timer() is None


def test_an_answer_to_results_is_not_forced_to_call_again():
    talk = Talk(configured(tool_choice="required"), tools=(WEATHER,))
    talk.do(client.ResponseRequested(), called("resp_1", 0), engine.GenerationEnded(response_id="resp_1"))
    talk.settle("call_1")
    assert [command.tool_choice for command in talk.of(engine.Generate)] == ["required", "auto"]


def test_a_call_that_was_cut_off_fails_its_response_and_is_not_run():
    talk = Talk(tools=(WEATHER,))
    talk.do(client.ResponseRequested())
    talk.do(engine.ArgumentsDelta(response_id="resp_1", index=0, name="get_weather", delta='{"ci'))
    assert talk.do(engine.GenerationEnded(response_id="resp_1")) == [
        "conversation.item.done item_1 after None",
        "response.output_item.done item_1 incomplete",
        "response.done resp_1 failed",
    ]
    talk.do(client.ResponseRequested())
    assert talk.of(engine.Generate)[-1].history == ()


def test_a_call_whose_answer_was_deleted_leaves_the_history_with_it():
    talk = Talk(configured(tools=(FunctionTool(name="f"),)))
    talk.do(
        client.ResponseRequested(), called("resp_1", 0, "f"), engine.GenerationEnded(response_id="resp_1")
    )
    talk.do(output_of("call_1"), client.ItemDeleteRequested(item_id="item_2"), client.ResponseRequested())
    assert talk.of(engine.Generate)[-1].history == ()
