"""Running calls in the talk: what is said of them, who stops them, and that no result is lost."""

from __future__ import annotations

from tests.session.harness import Talk, configured, said, sound

from kaiwa.events import actions, client, engine, server
from kaiwa.events.config import ServerVad
from kaiwa.events.items import FunctionCallOutput, Message
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import STOP_TOOL_CALL, ToolProgress, ToolSaid, ToolSpec
from kaiwa.session.policy import HostPolicy

SEARCH = ToolSpec(name="search", changes=False, background=True)
WATCH = ToolSpec(name="watch", changes=False, cancel_on_interruption=True)
BOOK = ToolSpec(name="book", changes=True)
FILLING = HostPolicy(filler_ms=1500, filler="お調べしますね。")


def called(response: str, name: str, index: int = 0, arguments: str = "{}") -> engine.ToolCalled:
    return engine.ToolCalled(response_id=response, index=index, name=name, arguments=arguments)


def ended(response: str, **fields) -> engine.GenerationEnded:
    return engine.GenerationEnded(response_id=response, **fields)


def asked(*names: str, words: str = "", detection=None, policy: HostPolicy | None = None, **options) -> Talk:
    """Return a conversation whose first response called these tools, and ended."""
    talk = Talk(configured(detection, **options), tools=(SEARCH, WATCH, BOOK), policy=policy)
    talk.do(said("go ahead"), client.ResponseRequested())
    if words:
        talk.do(engine.TextDelta(response_id="resp_1", text=words))
        talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(400)))
    talk.do(*[called("resp_1", name, index) for index, name in enumerate(names)])
    talk.do(ended("resp_1"))
    return talk


def generated(talk: Talk) -> list[engine.Generate]:
    return talk.of(engine.Generate)


def outputs(talk: Talk) -> list[str]:
    items = [event.item for event in talk.of(server.ItemAdded)]
    return [item.output for item in items if isinstance(item, FunctionCallOutput)]


# --- fillers ---------------------------------------------------------------------------------------


def test_a_silence_is_bridged_once_and_no_model_reads_the_words():
    talk = asked("search", policy=FILLING)
    assert talk.wait(1.4) == []
    assert talk.wait(0.2) == ["response.created resp_2", "ask Generate resp_2"]
    assert generated(talk)[-1].words == "お調べしますね。" and not generated(talk)[-1].tools
    talk.do(engine.TextDelta(response_id="resp_2", text="お調べしますね。"), ended("resp_2"))
    assert talk.wait(60) == []

    talk.settle("call_1")
    talk.do(ended("resp_3"))
    roles = [item.role for item in generated(talk)[-1].history if isinstance(item, Message)]
    assert roles == ["user"]
    talk.check()


def test_nothing_is_bridged_where_there_is_no_silence():
    quick = asked("search", policy=FILLING)
    quick.wait(1.0)
    quick.settle("call_1")
    assert [command.words for command in generated(quick)] == [None, None]

    spoken = asked("search", words="お調べします。", policy=FILLING)
    assert spoken.wait(60) == []

    written = asked("search", policy=FILLING, modalities=("text",))
    assert written.wait(60) == []


def test_a_filler_makes_room_for_whoever_asks():
    talk = asked("search", policy=FILLING)
    talk.wait(2)
    lines = talk.do(said("and the weather?"), client.ResponseRequested())
    assert "response.done resp_2 cancelled client_cancelled" in lines and lines[-1] == "ask Generate resp_3"
    talk.do(ended("resp_3"))
    talk.check()


def test_a_caller_who_speaks_breaks_the_silence_himself():
    talk = asked("search", detection=ServerVad(), policy=FILLING)
    talk.speak(800)
    talk.pause(1200)
    talk.do(ended(generated(talk)[-1].response_id))
    assert all(command.words is None for command in generated(talk))


# --- interim answers -------------------------------------------------------------------------------


def test_an_interim_answer_is_said_when_the_floor_is_free_and_stays_in_the_history():
    talk = asked("search", words="始めます。")
    lines = talk.do(ToolSaid(call_id="call_1", text="三件見つかりました。まだ続けます。"))
    assert lines == ["response.created resp_2", "ask Generate resp_2"]
    assert generated(talk)[-1].words == "三件見つかりました。まだ続けます。"
    talk.do(
        engine.TextDelta(response_id="resp_2", text="三件見つかりました。まだ続けます。"), ended("resp_2")
    )

    talk.settle("call_1", "done")
    roles = [item.role for item in generated(talk)[-1].history if isinstance(item, Message)]
    assert roles == ["user", "assistant", "assistant"]
    talk.do(ended("resp_3"))
    talk.check()


def test_an_interim_answer_waits_for_the_caller_and_is_dropped_when_the_result_is_there():
    talk = asked("search", detection=ServerVad())
    talk.speak(500)
    assert talk.do(ToolSaid(call_id="call_1", text="もうすぐです。")) == []
    talk.settle("call_1")
    talk.pause(1000)
    talk.do(ended(generated(talk)[-1].response_id))
    talk.wait(60)
    assert all(command.words is None for command in generated(talk))


def test_words_of_a_call_that_does_not_run_are_not_said():
    talk = asked("search")
    talk.settle("call_1")
    talk.do(ended("resp_2"))
    assert talk.do(ToolSaid(call_id="call_1", text="late")) == []


# --- results ---------------------------------------------------------------------------------------


def test_results_that_arrive_while_the_caller_speaks_are_told_together_once():
    talk = asked("search", "watch", detection=ServerVad(interrupt_response=False))
    talk.speak(500)
    talk.settle("call_1", "first")
    talk.settle("call_2", "second")
    assert len(generated(talk)) == 1
    talk.pause(1000)
    history = generated(talk)[-1].history
    assert [item.output for item in history if isinstance(item, FunctionCallOutput)] == ["first", "second"]
    talk.do(ended(generated(talk)[-1].response_id))
    assert talk.wait(60) == [] and len(generated(talk)) == 2


def test_a_result_whose_answer_failed_before_a_word_is_told_again_but_not_for_ever():
    talk = asked("search")
    talk.settle("call_1")
    for number in (2, 3, 4):
        assert generated(talk)[-1].response_id == f"resp_{number}"
        talk.do(ended(f"resp_{number}", reason="failed", error=FailureDetail(type="server_error")))
        talk.wait(1.1)
    assert len(generated(talk)) == 4 and talk.wait(60) == []
    talk.check()


def test_the_model_hears_how_far_running_calls_are():
    talk = asked("search")
    talk.do(ToolProgress(call_id="call_1", fraction=0.4, text="4/10"))
    talk.do(said("how far is it?"), client.ResponseRequested())
    (report,) = generated(talk)[-1].progress
    assert (report.call_id, report.fraction) == ("call_1", 0.4)


# --- stopping --------------------------------------------------------------------------------------


def test_what_runs_may_be_stopped_by_the_model_except_a_change():
    talk = asked("search", "book")
    talk.do(said("stop the search"), client.ResponseRequested())
    offered = {spec.name: spec for spec in generated(talk)[-1].tools}
    assert offered[STOP_TOOL_CALL].parameters["properties"]["name"]["enum"] == ["search"]

    talk.do(called("resp_2", STOP_TOOL_CALL, 0, '{"name":"book"}'))
    assert "error" in outputs(talk)[-1]
    lines = talk.do(called("resp_2", STOP_TOOL_CALL, 1, '{"name":"search"}'))
    assert "stop call_1" in lines and not any(line.startswith("run") for line in lines)
    stopped, told = outputs(talk)[1:]
    assert stopped.startswith('{"stopped": true') and told == '{"stopped":true,"name":"search"}'
    assert talk.do(ended("resp_2"))[-1] == "ask Generate resp_3"
    assert [action.call_id for action in talk.all if isinstance(action, actions.StopTool)] == ["call_1"]
    talk.settle("call_1")
    assert len(outputs(talk)) == 3, "what was stopped has its one output already"
    talk.check(complete=False)


def test_nothing_to_stop_is_no_tool():
    talk = asked("book")
    talk.do(said("hm"), client.ResponseRequested())
    assert STOP_TOOL_CALL not in {spec.name for spec in generated(talk)[-1].tools}


def test_a_caller_who_speaks_stops_only_the_calls_declared_so():
    talk = asked("search", "watch", detection=ServerVad())
    lines = talk.speak(500)
    assert [line for line in lines if line.startswith("stop")] == ["stop call_2"]
    assert len(outputs(talk)) == 1 and "stopped" in outputs(talk)[0]
    talk.pause(1000)
    talk.do(ended(generated(talk)[-1].response_id))
    assert talk.settle("call_2") == []
    assert talk.settle("call_1") != []
    talk.check(complete=False)


def test_who_hangs_up_stops_what_nobody_needs_and_no_change_and_nothing_in_the_background():
    talk = asked("search", "watch", "book")
    assert talk.do(client.PeerGone()) == ["stop call_2"]
