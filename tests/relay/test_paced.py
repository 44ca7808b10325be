"""A relayed call in virtual time: kaiwa plays the sound, so it says what is heard and cuts off what is not."""

from __future__ import annotations

import base64
import json

import pytest
from tests.relay.relay_desk import MEASURE, RelayDesk

from kaiwa.events.client import AudioAppended, PeerLost, PeerReturned, Sounding
from kaiwa.session.relay.profile import RelayProfile


def calling(audio_ms: int = 3000, *, ends: bool = False) -> RelayDesk:
    """A call in which the service is speaking; it sends faster than it is heard."""
    desk = RelayDesk(profile=RelayProfile(paced=True))
    desk.say("Hello")
    desk.respond()
    desk.service.words("A long answer.", audio_ms=audio_ms)
    if ends:
        desk.service.end()
    desk.hear()
    return desk


def interrupt(desk: RelayDesk) -> None:
    desk.service.now = desk.now
    desk.service.audio_ms = 0
    desk.service.speak(512)
    desk.now = desk.service.now
    desk.hear()


def test_playback_begins_with_the_sound_and_ends_when_it_is_heard() -> None:
    desk = calling(ends=True)
    response_id = desk.last("response.created")["response"]["id"]
    assert desk.one("output_audio_buffer.started")["response_id"] == response_id
    desk.wait(2.9)
    assert not desk.of("output_audio_buffer.stopped")
    desk.wait(0.2)
    assert desk.one("output_audio_buffer.stopped")["response_id"] == response_id


def test_playback_does_not_end_while_more_is_to_come() -> None:
    desk = calling(1000)
    desk.wait(5)
    assert not desk.of("output_audio_buffer.stopped")
    desk.service.end()
    desk.hear()
    desk.wait(0.1)
    desk.one("output_audio_buffer.stopped")


def test_a_caller_who_cuts_in_truncates_what_was_not_heard() -> None:
    desk = calling()
    desk.wait(1.0)
    interrupt(desk)
    truncated = desk.told("conversation.item.truncate")[0]
    assert 1000 < truncated["audio_end_ms"] < 1600
    assert truncated["item_id"] == desk.last("response.output_item.added")["item"]["id"]
    assert desk.one("conversation.item.truncated")["audio_end_ms"] == truncated["audio_end_ms"]
    assert desk.types.index("output_audio_buffer.cleared") > desk.types.index(
        "input_audio_buffer.speech_started"
    )
    assert not desk.of("error")


def test_what_comes_after_a_cut_is_not_played() -> None:
    desk = calling()
    late = dict(desk.last("response.output_audio.delta"), event_id="event_late")
    interrupt(desk)
    mark = len(desk.frames)
    desk.hear_text(json.dumps(late))
    desk.wait(5)
    assert "response.output_audio.delta" not in desk.types[mark:]
    assert "output_audio_buffer.started" not in desk.types[mark:]
    desk.service.pause(1000)
    desk.hear()
    desk.service.answer("Yes?", audio_ms=200)
    desk.hear()
    assert len(desk.of("output_audio_buffer.started")) == 2


@pytest.mark.parametrize("detection", [{"type": "server_vad", "interrupt_response": False}, None])
def test_who_may_not_cut_in_does_not(detection: dict[str, object] | None) -> None:
    desk = RelayDesk(profile=RelayProfile(paced=True))
    desk.update(audio={"input": {"turn_detection": detection}})
    desk.say("Hello")
    desk.respond()
    desk.service.words("A long answer.", audio_ms=3000)
    desk.hear()
    interrupt(desk)
    assert not desk.told("conversation.item.truncate")
    assert not desk.of("output_audio_buffer.cleared")


def test_an_answer_that_was_heard_is_not_truncated() -> None:
    desk = calling(500, ends=True)
    desk.wait(2)
    interrupt(desk)
    assert not desk.told("conversation.item.truncate")


def test_clearing_cuts_without_the_service() -> None:
    desk = calling()
    desk.wait(0.5)
    desk.send({"type": "response.cancel"})
    desk.send({"type": "output_audio_buffer.clear"})
    assert desk.one("output_audio_buffer.cleared")
    assert 400 <= desk.told("conversation.item.truncate")[0]["audio_end_ms"] <= 600
    assert not desk.told("output_audio_buffer.clear")


def test_a_truncation_that_comes_too_late_is_no_matter_of_the_peers() -> None:
    desk = calling()
    item_id = desk.last("response.output_item.added")["item"]["id"]
    desk.service.send({"type": "conversation.item.delete", "item_id": item_id})
    interrupt(desk)
    assert desk.told("conversation.item.truncate")
    assert any(frame["type"] == "error" for frame in desk.service.frames)
    assert not desk.of("error")


def test_the_microphone_goes_to_the_service() -> None:
    desk = RelayDesk(profile=RelayProfile(paced=True))
    desk._feed(AudioAppended(audio=b"\x01\x02" * 480))
    told = desk.told("input_audio_buffer.append")[0]
    assert base64.b64decode(told["audio"]) == b"\x01\x02" * 480


def test_a_socket_that_came_back_as_a_call_is_cut_off_where_it_was_heard() -> None:
    desk = RelayDesk(profile=RelayProfile(may_call=True))
    desk.say("Hello")
    desk.respond()
    desk.service.words("A long answer.", audio_ms=3000)
    desk.hear()
    assert not desk.of("output_audio_buffer.started"), "a socket's client plays the sound itself"
    item_id = desk.last("response.output_item.added")["item"]["id"]
    response_id = desk.last("response.created")["response"]["id"]
    missed = Sounding(response_id=response_id, item_id=item_id, audio_ms=2000)
    desk._feed(PeerLost())
    desk._feed(PeerReturned(paced=True, sounds=(missed,)))
    desk.one("output_audio_buffer.started")
    desk.wait(1.0)
    desk.send({"type": "output_audio_buffer.clear"})
    assert 1900 <= desk.told("conversation.item.truncate")[0]["audio_end_ms"] <= 2100


OWN = {"type": "function", "name": "own", "parameters": {"type": "object"}}


def offers(desk: RelayDesk) -> list[list[str]]:
    return [[tool["name"] for tool in told["session"]["tools"]] for told in desk.told("session.update")]


def test_a_call_to_which_kaiwa_attaches_is_not_greeted_and_gets_its_tools_back() -> None:
    desk = RelayDesk(profile=RelayProfile(attached=True), tools=(MEASURE,), greets=False)
    desk.say("Hello")
    desk.hear()
    assert desk.told("conversation.item.create")
    assert not desk.of("session.created")
    assert offers(desk) == [["measure"]]  # somebody took them out before kaiwa was there
    desk.service.update(tools=[OWN])
    desk.hear()
    assert offers(desk) == [["measure"], ["own", "measure"]]
    desk.hear()
    assert len(offers(desk)) == 2
