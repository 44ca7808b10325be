"""The peer's connection breaks and comes back: nothing new is said meanwhile, and nothing twice."""

from __future__ import annotations

from tests.session.harness import Talk, configured, said, sound
from tests.session.test_tools import asked

from kaiwa.events import client, engine, server
from kaiwa.events.items import Message
from kaiwa.events.own import SessionResumed
from kaiwa.session.absence import GO_ON
from kaiwa.session.policy import HostPolicy


def speaking(seconds: float, **policy: object) -> Talk:
    """Return a conversation whose answer of so many seconds was just sent, in a call."""
    talk = Talk(policy=HostPolicy(paced_output=True, **policy))  # type: ignore[arg-type]
    talk.do(said("tell me"), client.ResponseRequested())
    talk.do(
        engine.TextDelta(response_id="resp_1", text="One two three four five six seven eight."),
        engine.AudioDelta(response_id="resp_1", pcm=sound(round(seconds * 1000))),
    )
    return talk


def test_a_result_that_comes_meanwhile_is_told_once_on_return() -> None:
    talk = asked("get_weather")
    talk.do(client.PeerLost())
    talk.settle("call_1")
    assert [line for line in talk.wait(20) if line.startswith("ask")] == []
    lines = talk.do(client.PeerReturned())
    assert [line for line in lines if line.startswith("ask")] == ["ask Generate resp_2"]
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    assert [line for line in talk.wait(20) if line.startswith("ask")] == []
    talk.check()


def test_what_was_unheard_of_a_call_is_cut_off_and_gone_on_with_on_return() -> None:
    talk = speaking(4)
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.wait(3)
    lines = talk.do(client.PeerLost(silent_s=1.0))
    assert "output_audio_buffer.cleared resp_1" in lines
    assert [event.audio_end_ms for event in talk.of(server.ItemTruncated)] == [2000]
    assert talk.wait(5) == []
    talk.do(client.PeerReturned())
    command = talk.of(engine.Generate)[-1]
    assert command.instructions.endswith(GO_ON)
    last = command.history[-1]
    assert isinstance(last, Message) and last.role == "assistant"
    talk.check(complete=False)


def test_an_answer_heard_to_its_end_is_not_said_again() -> None:
    talk = speaking(1)
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.wait(5)
    talk.do(client.PeerLost(silent_s=2.0))
    lines = talk.do(client.PeerReturned())
    assert not talk.of(server.ItemTruncated) and not [line for line in lines if line.startswith("ask")]


def test_an_answer_that_nobody_hears_yet_is_stopped_and_begun_again() -> None:
    talk = speaking(1)
    lines = talk.do(client.PeerLost())
    assert "ask Stop resp_1" in lines and "response.done resp_1 cancelled client_cancelled" in lines
    assert "ask Generate resp_2" in talk.do(client.PeerReturned(paced=True))


def test_what_is_played_again_to_a_call_can_be_interrupted_where_it_was_heard() -> None:
    talk = Talk(configured())
    talk.do(said("tell me"), client.ResponseRequested())
    talk.do(
        engine.TextDelta(response_id="resp_1", text="One two three four."),
        engine.AudioDelta(response_id="resp_1", pcm=sound(4000)),
        engine.GenerationEnded(response_id="resp_1"),
    )
    item_id = talk.of(server.AudioDelta)[-1].item_id
    missed = client.Sounding(response_id="resp_1", item_id=item_id, audio_ms=3000)
    lines = talk.do(client.PeerLost(), client.PeerReturned(paced=True, sounds=(missed,)))
    assert "output_audio_buffer.started resp_1" in lines
    talk.wait(2)
    lines = talk.do(client.OutputAudioCleared())
    assert "output_audio_buffer.cleared resp_1" in lines
    assert [event.audio_end_ms for event in talk.of(server.ItemTruncated)] == [3000]
    talk.check(complete=False)


def test_an_answer_to_a_socket_goes_on_while_it_is_away() -> None:
    talk = Talk(configured())
    talk.do(said("tell me"), client.ResponseRequested(), client.PeerLost())
    lines = talk.do(engine.TextDelta(response_id="resp_1", text="Here."))
    assert "response.output_audio_transcript.delta Here." in lines
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    assert not [line for line in talk.do(client.PeerReturned()) if line.startswith("ask")]
    talk.check()


def test_who_missed_too_much_is_told_every_item_again() -> None:
    talk = asked("get_weather")
    talk.settle("call_1")
    talk.do(engine.GenerationEnded(response_id="resp_2"))
    mark = len(talk.all)
    talk.do(client.PeerLost(), client.PeerReturned(retell=True))
    lines = talk._lines(mark)
    assert lines[0].startswith("kaiwa.session.resumed") and talk.of(SessionResumed)[0].retold
    assert lines[1:] == [
        "conversation.item.added item_1 after None",
        "conversation.item.done item_1 after None",
        "conversation.item.added item_2 after item_1",
        "conversation.item.done item_2 after item_1",
        "conversation.item.added item_3 after item_2",
        "conversation.item.done item_3 after item_2",
    ]
