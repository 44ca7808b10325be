"""Frames of every dialect on their way through: what is read of them, and what they become."""

from __future__ import annotations

import json

import pytest
from tests.relay.relay_desk import TEXT_ONLY, RelayDesk

from kaiwa.events.client import FrameRejected
from kaiwa.events.relay import PassedFrame
from kaiwa.protocol.realtime.passing import (
    PassingCodec,
    TranslatingCodec,
    client_side,
    upstream_reader,
    upstream_writer,
    usage_in,
)

APPEND = '{"type":"input_audio_buffer.append","audio":"not even base64"}'
DELTA = '{"type":"response.output_audio.delta","event_id":"e","response_id":"r","item_id":"i","output_index":0,"content_index":0,"delta":"?not base64?"}'


@pytest.mark.parametrize("dialect", ["ga", "preview", "preview-2024-10-01"])
def test_audio_of_the_peer_is_never_decoded(dialect: str) -> None:
    passed = client_side(dialect, frozenset()).decode_client(APPEND)  # type: ignore[arg-type]
    assert passed == PassedFrame(type="input_audio_buffer.append", frame=APPEND)


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_text_that_comes_as_bytes_is_text(dialect: str) -> None:
    """As data channels bring it."""
    codec = client_side(dialect, frozenset())  # type: ignore[arg-type]
    assert codec.decode_client(APPEND.encode()) == codec.decode_client(APPEND)
    assert isinstance(codec.decode_client(b'{"type":"\xff"}'), FrameRejected)


def test_audio_for_a_preview_peer_gets_another_name_and_nothing_else() -> None:
    said = upstream_reader("ga", frozenset())(DELTA)[0]
    assert TranslatingCodec("preview", frozenset()).encode_server(said) == DELTA.replace(
        "output_audio", "audio"
    )


def test_audio_of_a_preview_upstream_gets_its_ga_name() -> None:
    said = upstream_reader("preview", frozenset())(DELTA.replace("output_audio", "audio"))
    assert [one.frame for one in said] == [DELTA]


def test_only_what_is_looked_into_has_a_body() -> None:
    codec = PassingCodec(frozenset({"session.update"}))
    seen = codec.decode_client('{"type":"session.update","event_id":"e","session":{"x":1}}')
    assert isinstance(seen, PassedFrame) and seen.body == {
        "type": "session.update",
        "event_id": "e",
        "session": {"x": 1},
    }
    unseen = codec.decode_client('{"type":"response.cancel"}')
    assert isinstance(unseen, PassedFrame) and unseen.body is None


@pytest.mark.parametrize(
    "frame", ["", "[]", '"x"', "{}", '{"type":7}', '{"type":"a","event_id":7}', '{"type":"a"', "\ud800"]
)
def test_a_frame_without_a_readable_head_is_rejected(frame: str) -> None:
    for dialect in ("ga", "preview"):
        assert isinstance(client_side(dialect, frozenset()).decode_client(frame), FrameRejected)  # type: ignore[arg-type]


@pytest.mark.parametrize("frame", ["", "[]", "{", '{"type":7}', "{}"])
def test_nonsense_of_the_service_reaches_nobody_as_an_event(frame: str) -> None:
    for dialect in ("ga", "preview"):
        assert upstream_reader(dialect, frozenset())(frame) == ()  # type: ignore[arg-type]


def test_usage_is_read_whatever_else_the_response_holds() -> None:
    body = {
        "type": "response.done",
        "response": {
            "output": [{"type": "news"}],
            "usage": {
                "total_tokens": 3,
                "input_tokens": 2,
                "output_tokens": 1,
                "input_token_details": {"audio_tokens": 2, "smell_tokens": 9},
            },
        },
    }
    usage = usage_in(PassedFrame(type="response.done", body=body))
    assert usage is not None and usage.input_token_details.audio_tokens == 2 and usage.output_tokens == 1
    assert usage_in(PassedFrame(type="response.done", body={"response": {"usage": None}})) is None
    assert usage_in(PassedFrame(type="response.done", body={"response": 7})) is None


def turn(desk: RelayDesk, **settings: object) -> list[str]:
    desk.update(**settings)
    desk.say("Hello")
    desk.respond()
    desk.service.answer("Hi", audio_ms=200)
    desk.hear()
    return desk.types


def test_a_preview_peer_talks_to_a_ga_service() -> None:
    desk = RelayDesk(dialect="preview")
    types = turn(desk, modalities=["text", "audio"], voice="ash")
    assert desk.service.session.config.audio.output.voice == "ash"
    assert "conversation.item.created" in types and "response.audio.delta" in types
    assert not {"conversation.item.added", "conversation.item.done", "response.output_audio.delta"} & set(
        types
    )
    assert desk.one("session.updated")["session"]["voice"] == "ash"


def test_a_ga_peer_talks_to_a_preview_service() -> None:
    desk = RelayDesk(behind="preview")
    types = turn(desk, audio={"output": {"voice": "ash"}})
    assert desk.service.session.config.audio.output.voice == "ash"
    assert {"conversation.item.added", "conversation.item.done", "response.output_audio.delta"} <= set(types)
    assert "conversation.item.created" not in types
    assert desk.one("session.updated")["session"]["audio"]["output"]["voice"] == "ash"


def test_a_preview_peer_talks_to_a_preview_service() -> None:
    desk = RelayDesk(dialect="preview-2024-10-01", behind="preview")
    types = turn(desk, modalities=["text"])
    assert "response.text.delta" in types and "response.done" in types


def test_what_kaiwa_cannot_translate_goes_to_a_preview_service_as_it_is() -> None:
    frame = PassedFrame(type="x", frame='{"type":"x"}')
    assert upstream_writer("preview")(frame) == '{"type":"x"}'
    written = upstream_writer("preview")(
        PassedFrame(
            type="session.update",
            body={"type": "session.update", "session": {"type": "realtime", **TEXT_ONLY}},
        )
    )
    assert json.loads(written)["session"] == {"modalities": ["text"]}
