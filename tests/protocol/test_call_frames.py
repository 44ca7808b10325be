"""Frames beside the sound of a call: what may be said, what is shown, and what a late peer is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kaiwa.events import client, server
from kaiwa.events.config import SessionConfig
from kaiwa.events.relay import PassedFrame, UpstreamSaid
from kaiwa.protocol.realtime.calls import FILTERED, CallCodec, greeting_of, type_of
from kaiwa.protocol.realtime.dialects import codec_for
from kaiwa.protocol.realtime.passing import client_side

LOOKED_AT = frozenset({"session.update", "response.create"})
CODECS = {
    "held here": CallCodec(codec_for("ga")),
    "relayed": CallCodec(client_side("ga", frozenset())),
    "relayed and looked at": CallCodec(client_side("ga", LOOKED_AT)),
    "relayed from the preview": CallCodec(client_side("preview", LOOKED_AT)),
}
FORMAT = {"type": "audio/pcmu"}


def text(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
def test_sound_in_a_frame_is_refused_under_its_own_id(codec: CallCodec) -> None:
    told = codec.decode_client(text("input_audio_buffer.append", audio="AAAA", event_id="mine"))
    assert isinstance(told, client.FrameRejected)
    assert (told.param, told.rejected_event_id) == ("type", "mine")


@pytest.mark.parametrize("name", ["relayed", "relayed and looked at"])
@pytest.mark.parametrize(("kind", "holder"), [("session.update", "session"), ("response.create", "response")])
def test_a_relay_passes_no_format_on(name: str, kind: str, holder: str) -> None:
    wish = {"audio": {"output": {"format": FORMAT, "voice": "verse"}}, "instructions": "Be brief."}
    told = CODECS[name].decode_client(text(kind, event_id="mine", **{holder: wish}))
    assert isinstance(told, PassedFrame) and told.body is not None
    assert told.body[holder] == {"audio": {"output": {"voice": "verse"}}, "instructions": "Be brief."}
    assert told.body["event_id"] == told.event_id == "mine"


def test_a_relay_passes_other_settings_as_they_came() -> None:
    frame = '{ "type":"session.update","session":{"type":"realtime"} }'
    told = CODECS["relayed"].decode_client(frame)
    assert isinstance(told, PassedFrame) and told.frame == frame


@pytest.mark.parametrize(
    "wrong", ["{", "[]", '{"type": "session.update", "session": {"format": 1, "audio": 3}}']
)
def test_what_is_broken_stays_broken(wrong: str) -> None:
    for codec in CODECS.values():
        codec.decode_client(wrong)


def test_sound_is_never_written() -> None:
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    sound = server.AudioDelta(event_id="e", delta=b"ab", **place)
    passed = UpstreamSaid(type="response.output_audio.delta", frame=text("response.output_audio.delta"))
    assert CODECS["held here"].encode_server(sound) == CODECS["relayed"].encode_server(passed) == ""
    assert CODECS["held here"].encode_server(server.AudioDone(event_id="e", **place))


def test_a_filter_leaves_what_it_names() -> None:
    quiet = CallCodec(client_side("ga", frozenset()), only=FILTERED)
    for kind in ("output_audio_buffer.started", "response.done", "error", "session.created"):
        assert bool(quiet.encode_server(UpstreamSaid(type=kind, frame=text(kind)))) == (kind in FILTERED)


@pytest.mark.parametrize("seen", ["event", "text", "body"])
@pytest.mark.parametrize("kind", ["session.created", "session.updated"])
def test_a_late_peer_is_greeted_with_the_session_as_it_is(seen: str, kind: str) -> None:
    config = SessionConfig(id="sess_1", instructions="Be brief.")
    made = server.SessionCreated if kind == "session.created" else server.SessionUpdated
    event: server.ServerEvent = made(event_id="event_1", session=config)
    written = codec_for("ga").encode_server(event)
    if seen != "event":
        body = json.loads(written) if seen == "body" else None
        event = UpstreamSaid(type=kind, frame=written if seen == "text" else None, body=body)
    greeting = greeting_of(event, "event_2")
    assert greeting is not None and type_of(greeting) == "session.created"
    told = json.loads(client_side("ga", frozenset()).encode_server(greeting))
    assert (told["event_id"], told["session"]["instructions"]) == ("event_2", "Be brief.")


def test_no_other_event_greets() -> None:
    assert greeting_of(UpstreamSaid(type="response.done", frame="{}"), "event_2") is None
