"""What we say fits the published examples and a strict client; what an upstream says is read leniently."""

import json
from pathlib import Path

import pytest
from openai_oracle import validate_client_event_with_openai, validate_with_openai
from realtime_samples import CLIENT_SAMPLES, IDS, SAMPLES

from kaiwa.events import client, server
from kaiwa.events.usage import DurationUsage
from kaiwa.protocol.realtime.ga import GaCodec, UnknownServerEvent
from kaiwa.testing.conformance import check_server_event

codec = GaCodec()
table = json.loads((Path(__file__).parent.parent / "data/realtime/events.json").read_text())


def name_of(event):
    return type(event).__name__


def plain(frame):
    body = json.loads(frame)
    body.pop("obfuscation", None)
    return body


def test_every_server_event_has_a_sample():
    assert {type(event) for event in SAMPLES} == set(server.WireEvent.__args__)


def test_every_client_event_has_a_sample():
    assert {type(event) for event in CLIENT_SAMPLES} == set(client.WireEvent.__args__)


@pytest.mark.parametrize("event", SAMPLES, ids=name_of)
def test_a_server_event_survives_the_wire(event):
    bare = GaCodec(obfuscate=False)
    assert bare.decode_server(bare.encode_server(event)) == event


@pytest.mark.parametrize("event", SAMPLES, ids=name_of)
def test_the_openai_package_reads_every_server_event(event):
    frame = codec.encode_server(event)
    assert validate_with_openai(frame).type == json.loads(frame)["type"]


@pytest.mark.parametrize("event", CLIENT_SAMPLES, ids=name_of)
def test_a_client_event_survives_the_wire(event):
    assert codec.decode_client(codec.encode_client(event)) == event


@pytest.mark.parametrize("event", CLIENT_SAMPLES, ids=name_of)
def test_the_openai_package_reads_every_client_event(event):
    frame = codec.encode_client(event)
    assert validate_client_event_with_openai(frame).type == json.loads(frame)["type"]


def test_ids_that_are_none_stay_off_the_wire_and_settings_keep_their_nulls():
    assert codec.encode_client(client.AudioAppended(audio=b"")) == (
        '{"type":"input_audio_buffer.append","audio":""}'
    )
    assert json.loads(codec.encode_client(CLIENT_SAMPLES[0])) == {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "instructions": "",
            "tools": [{"type": "function", "name": "f", "parameters": {}}],
            "audio": {"input": {"turn_detection": None}},
        },
    }


OURS = {struct.__struct_config__.tag for struct in server.WireEvent.__args__}
# Examples kept from the older shape, or with shortened base64, or with a null that clients refuse.
NOT_EQUAL = {
    "conversation.item.retrieved",
    "response.output_item.done",
    "response.output_audio.delta",
    "conversation.item.input_audio_transcription.failed",
    "rate_limits.updated",
}
EXAMPLES = [
    entry["example"]
    for entry in table["server_events"]
    if entry["ga"] in OURS and entry["example"] is not None
]


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if one["type"] not in NOT_EQUAL], ids=lambda one: one["type"]
)
def test_a_published_example_is_read_and_written_back_equal(example):
    event = codec.decode_server(json.dumps(example))
    assert not isinstance(event, UnknownServerEvent)
    assert plain(codec.encode_server(event)) == {k: v for k, v in example.items() if k != "obfuscation"}


@pytest.mark.parametrize(
    "example", [entry["example"] for entry in table["client_events"] if entry["ga"] and entry["example"]]
)
def test_a_published_client_example_is_read_and_written_back_equal(example):
    if example["type"] == "input_audio_buffer.append":
        example = {**example, "audio": "AAA="}
    event = codec.decode_client(json.dumps(example))
    assert not isinstance(event, client.FrameRejected), event
    assert json.loads(codec.encode_client(event)) == example


@pytest.mark.parametrize(
    ("event", "padding"),
    [
        (server.TextDelta(event_id="event_1", delta="Hey", **IDS), 13),
        (server.TranscriptDelta(event_id="event_1", delta="x" * 16, **IDS), 16),
        (server.InputTranscriptionDelta(event_id="event_1", item_id="i", content_index=0, delta="x"), 15),
    ],
)
def test_deltas_of_text_are_padded_the_same_way_every_time(event, padding):
    frame = json.loads(codec.encode_server(event))
    assert len(frame["obfuscation"]) == padding
    assert frame["obfuscation"].isalnum()
    assert json.loads(codec.encode_server(event)) == frame


def test_audio_is_not_padded_and_padding_can_be_switched_off():
    assert "obfuscation" not in codec.encode_server(server.AudioDelta(event_id="e", delta=b"ab", **IDS))
    text = server.TextDelta(event_id="event_1", delta="Hey", **IDS)
    assert "obfuscation" not in GaCodec(obfuscate=False).encode_server(text)


def test_upstream_fields_we_do_not_know_are_tolerated():
    frame = {"type": "response.content_part.added", "event_id": "event_1", **IDS}
    frame |= {"part": {"type": "text", "text": "", "new": 1}, "content": {"type": "text"}}
    assert codec.decode_server(json.dumps(frame)) == server.ContentPartAdded(
        event_id="event_1", part=server.TextPart(text=""), **IDS
    )


def test_nulls_of_azure_in_a_failed_transcription_are_read_as_absent():
    error = {"type": "server_error", "code": None, "message": "m", "param": None}
    frame = {"type": "conversation.item.input_audio_transcription.failed", "event_id": "event_1"}
    event = codec.decode_server(json.dumps(frame | {"item_id": "i", "content_index": 0, "error": error}))
    assert event.error == server.TranscriptionError(type="server_error", message="m")


def test_fractional_seconds_of_a_transcription_are_rounded_up():
    frame = {"type": "conversation.item.input_audio_transcription.completed", "event_id": "event_1"}
    frame |= {
        "item_id": "i",
        "content_index": 0,
        "transcript": "",
        "usage": {"type": "duration", "seconds": 2.1},
    }
    assert codec.decode_server(json.dumps(frame)).usage == DurationUsage(seconds=3)


def test_an_upstream_event_outside_the_vocabulary_is_kept_and_passed_on_whole():
    body = {"type": "session.closed", "event_id": "event_1", "reason": "x"}
    event = codec.decode_server(json.dumps(body))
    assert event == UnknownServerEvent(type=body["type"], event_id="event_1", body=body)
    assert json.loads(codec.encode_server(event)) == body


@pytest.mark.parametrize(
    "frame", ["", "[]", "{}", "nope", '{"type":[]}', '{"type":"response.done"}', b"\xff"]
)
def test_an_upstream_frame_that_makes_no_sense_is_unknown_and_raises_nothing(frame):
    assert isinstance(codec.decode_server(frame), UnknownServerEvent)


@pytest.mark.parametrize("event", SAMPLES, ids=name_of)
def test_the_conformance_checker_accepts_every_server_event(event):
    check_server_event(codec.encode_server(event))
