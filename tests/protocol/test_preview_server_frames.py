"""What preview clients are shown: its names, its flat objects, and nothing that only GA has."""

import json
from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from openai.types.beta.realtime import RealtimeServerEvent
from openai_oracle import validate_with_openai
from pydantic import TypeAdapter
from realtime_samples import IDS, MESSAGE, SAMPLES, SESSION

from kaiwa.events import config, items, server
from kaiwa.events.response import Response, ResponseAudio, ResponseOutputFormat
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.protocol.realtime.preview import PreviewCodec
from kaiwa.protocol.realtime.preview_editions import OCTOBER_2024
from kaiwa.protocol.realtime.reading import UnknownServerEvent
from kaiwa.testing.conformance import check_server_event
from kaiwa.testing.conformance_shapes import SHAPES

codec, october = PreviewCodec(), PreviewCodec(OCTOBER_2024)
table = json.loads((Path(__file__).parent.parent / "data/realtime/events.json").read_text())
ENTRIES = [entry for entry in table["server_events"] if entry["beta"] != "conversation.created"]
# The older package lists the models of its time and knows no forced function.
AS_THEN = {"model": "gpt-4o-realtime-preview", "tool_choice": "auto"}


def shown(event, by=codec):
    return json.loads(by.encode_server(event))


def tag(event):
    return type(event).__struct_config__.tag


def name_of(event):
    return type(event).__name__


def test_every_event_has_the_name_the_published_table_gives_it():
    names = {entry["ga"]: entry["beta"] for entry in ENTRIES if entry["ga"]}
    for event in SAMPLES:
        frame = codec.encode_server(event)
        assert (json.loads(frame)["type"] if frame else None) == names[tag(event)]


def test_the_first_version_has_its_27_types_and_no_other():
    first = {entry["beta"] for entry in ENTRIES if entry["in_azure_2024_10_01_preview"]}
    assert len(first) == 27
    assert OCTOBER_2024.types == first == set(SHAPES["preview-2024-10-01"].fields)
    for event in SAMPLES:
        frame, first_frame = codec.encode_server(event), october.encode_server(event)
        assert bool(first_frame) == bool(frame and json.loads(frame)["type"] in first)


def test_the_shipped_table_agrees_with_the_published_one():
    expected = {}
    for entry in ENTRIES:
        if entry["beta"]:
            seen = entry.get("always_on_ga_wire") or []
            keys = [] if isinstance(seen, str) else [name.split("{")[0].rstrip("?") for name in seen]
            known = expected.setdefault(entry["beta"], set())
            known |= {"type", *entry["required"], *keys} - {"obfuscation"}
    assert {name: set(fields) for name, fields in SHAPES["preview"].fields.items()} == expected


@pytest.mark.parametrize("event", SAMPLES, ids=name_of)
def test_the_checker_accepts_every_event(event):
    for by, dialect in ((codec, "preview"), (october, "preview-2024-10-01")):
        if frame := by.encode_server(event):
            check_server_event(frame, dialect)


@pytest.mark.parametrize("event", SAMPLES, ids=name_of)
def test_the_openai_package_s_older_models_read_every_event(event):
    frame = codec.encode_server(event)
    if not frame or "mcp_" in json.loads(frame)["type"]:  # these came after the models
        return
    body = json.loads(frame)
    if "session" in body:
        body["session"] |= AS_THEN
    assert TypeAdapter(RealtimeServerEvent).validate_python(body).type == body["type"]


@pytest.mark.parametrize("event", SAMPLES, ids=name_of)
def test_an_event_survives_the_wire(event):
    frame = codec.encode_server(event)
    if frame:
        # The preview always tells a temperature, which GA does not write, and a response's voice.
        ga = GaCodec(obfuscate=False)
        assert ga.decode_server(ga.encode_server(codec.decode_server(frame))) == with_voice(event)


def with_voice(event):
    if hasattr(event, "response") and event.response.audio is UNSET:
        return replace(event, response=replace(event.response, audio=ResponseAudio()))
    return event


def test_the_flat_session_has_the_keys_of_its_version():
    base = SHAPES["preview"].session_keys | {"expires_at"}
    late = {"speed", "tracing", "prompt", "input_audio_noise_reduction", "include", "client_secret"}
    event = server.SessionCreated(event_id="event_1", session=SESSION)
    assert set(shown(event)["session"]) == base | late
    assert set(shown(event, october)["session"]) == base


def test_the_session_s_values_are_flattened():
    flat = shown(server.SessionUpdated(event_id="event_1", session=SESSION))["session"]
    assert flat["modalities"] == ["audio", "text"]
    assert flat["input_audio_format"] == "g711_ulaw" and flat["output_audio_format"] == "pcm16"
    assert flat["input_audio_transcription"] == {"model": "whisper-1", "language": None, "prompt": None}
    assert flat["input_audio_noise_reduction"] == {"type": "near_field"}
    assert flat["tool_choice"] == {"type": "function", "name": "f"}
    assert flat["temperature"] == 0.8


def test_detection_by_voice_is_shown_without_what_came_with_ga():
    session = config.SessionConfig(id="sess_1")
    flat = shown(server.SessionUpdated(event_id="event_1", session=session))["session"]
    assert flat["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "create_response": True,
        "interrupt_response": True,
    }


def test_temperature_is_a_decimal_and_ga_never_shows_it():
    session = config.SessionConfig(id="sess_1", temperature=1.0)
    event = server.SessionUpdated(event_id="event_1", session=session)
    assert '"temperature":1.0' in codec.encode_server(event)
    assert "temperature" not in GaCodec().encode_server(event)
    response = Response(id="r", conversation_id=None, output_modalities=("audio",), temperature=0.6)
    created = server.ResponseCreated(event_id="event_1", response=response)
    assert '"temperature":0.6' in codec.encode_server(created)
    assert "temperature" not in GaCodec().encode_server(created)


@pytest.mark.parametrize("voice", ["agent-ja", config.CustomVoice(id="voice_1")])
def test_strict_clients_are_told_a_voice_and_a_model_they_know(voice):
    audio = config.SessionAudio(
        input=config.AudioInput(
            transcription=config.Transcription(model="gpt-4o-transcribe"),
            turn_detection=config.SemanticVad(create_response=False),
        ),
        output=config.AudioOutput(voice=voice),
    )
    session = config.SessionConfig(id="sess_1", audio=audio, tool_choice=config.ForcedFunction(name="f"))
    event = server.SessionUpdated(event_id="event_1", session=session)
    assert shown(event)["session"]["voice"] == getattr(voice, "id", voice)
    strict = shown(event, october)["session"]
    assert strict["voice"] == "alloy"
    assert strict["input_audio_transcription"]["model"] == "whisper-1"
    assert strict["turn_detection"]["type"] == "server_vad"
    assert strict["turn_detection"]["create_response"] is False
    assert strict["tool_choice"] == {"type": "function", "name": "f", "function": "f"}
    response = Response(
        id="r",
        conversation_id=None,
        output_modalities=("text",),
        audio=ResponseAudio(output=ResponseOutputFormat(voice=voice, format=config.PcmaFormat())),
    )
    done = shown(server.ResponseCreated(event_id="event_1", response=response), october)["response"]
    assert (done["voice"], done["output_audio_format"], done["modalities"]) == (
        "alloy",
        "g711_alaw",
        ["text"],
    )


def test_a_transcription_session_has_events_and_an_object_of_its_own():
    session = config.SessionConfig(
        type="transcription", object="realtime.transcription_session", id="sess_1", expires_at=9
    )
    created = shown(server.SessionCreated(event_id="event_1", session=session))
    assert created["type"] == "transcription_session.created"
    assert created["session"] == {
        "id": "sess_1",
        "object": "realtime.transcription_session",
        "expires_at": 9,
        "input_audio_format": "pcm16",
        "input_audio_transcription": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
        },
        "input_audio_noise_reduction": None,
        "include": None,
    }
    updated = server.SessionUpdated(event_id="event_1", session=session)
    assert shown(updated)["type"] == "transcription_session.updated"
    assert codec.decode_server(codec.encode_server(updated)) == updated
    # The package wants what its own description says is absent on a socket.
    frame = shown(updated)
    frame["session"]["client_secret"] = {"value": "ek_1", "expires_at": 1}
    assert TypeAdapter(RealtimeServerEvent).validate_python(frame).type == frame["type"]


def test_items_say_what_they_are_and_parts_have_short_names():
    item = shown(server.ItemAdded(event_id="event_1", previous_item_id=None, item=MESSAGE))["item"]
    assert item["object"] == "realtime.item"
    assert item["content"] == [{"type": "audio", "transcript": "Hi."}, {"type": "text", "text": "Hi."}]
    output = items.FunctionCallOutput(id="i", call_id="c", output="o")
    item = shown(server.ItemAdded(event_id="event_1", previous_item_id=None, item=output))["item"]
    assert item["object"] == "realtime.item"


@pytest.mark.parametrize(
    ("ga", "preview"),
    [
        ("session.audio.output.voice", "session.voice"),
        ("session.audio.input.turn_detection.threshold", "session.turn_detection.threshold"),
        ("response.max_output_tokens", "response.max_response_output_tokens"),
        ("item.content[0].text", "item.content[0].text"),
        (None, None),
    ],
)
def test_errors_name_the_setting_as_the_client_knows_it_and_back(ga, preview):
    detail = server.ErrorDetail(
        type="t", code="c", message=f"Invalid value for '{ga}': no.", param=ga, event_id=None
    )
    event = server.Failed(event_id="event_1", error=detail)
    error = shown(event)["error"]
    assert (error["param"], error["message"]) == (preview, f"Invalid value for '{preview}': no.")
    assert codec.decode_server(codec.encode_server(event)) == event


def test_deltas_are_not_padded():
    event = server.TextDelta(event_id="event_1", delta="a", obfuscation="xyz", **IDS)
    assert "obfuscation" not in shown(event)
    heard = server.InputTranscriptionDelta(
        event_id="event_1", item_id="i", content_index=0, delta="a", obfuscation="xyz"
    )
    assert "obfuscation" not in shown(heard)


@pytest.mark.parametrize(
    ("type", "passes"),
    [
        ("mcp_list_tools.completed", True),
        ("conversation.item.input_audio_transcription.segment", True),
        ("something.new", True),
        ("conversation.item.added", False),
        ("response.output_audio.delta", False),
        ("input_audio_buffer.dtmf_event_received", False),
        ("", False),
    ],
)
def test_an_upstream_s_unknown_event_is_passed_on_unless_it_is_ga_s_or_the_client_is_strict(type, passes):
    event = UnknownServerEvent(type=type, body={"type": type})
    assert codec.encode_server(event) == (f'{{"type":"{type}"}}' if passes else "")
    assert october.encode_server(event) == ""


def test_what_the_preview_says_is_what_ga_says_after_translation():
    for event in SAMPLES:
        if frame := codec.encode_server(event):
            assert validate_with_openai(GaCodec().encode_server(codec.decode_server(frame)))
