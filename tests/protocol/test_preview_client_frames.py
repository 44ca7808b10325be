"""What clients of the preview dialect send, as they spell it: read, forgiven, or faulted in its own names."""

import base64
import json

import pytest
from hypothesis import given, settings
from realtime_samples import CLIENT_SAMPLES
from test_any_frame import json_values, mutated

from kaiwa.events import client, config, items
from kaiwa.protocol.realtime.preview import PreviewCodec
from kaiwa.protocol.realtime.rules import APPEND_LIMIT_BYTES

codec = PreviewCodec()
NULLS = {"instructions": None, "tools": None, "metadata": None}


def read(type, **fields):
    return codec.decode_client(json.dumps({"type": type, **fields}))


def updated(**session):
    """Return the update that a flat session.update means, or what was wrong with it."""
    event = read("session.update", session=session)
    return event.session if isinstance(event, client.SettingsChanged) else (event.code, event.param)


def heard(**changes):
    return config.SessionUpdate(
        type="realtime", audio=config.SessionAudioUpdate(input=config.AudioInputUpdate(**changes))
    )


def spoken(**changes):
    return config.SessionUpdate(
        type="realtime", audio=config.SessionAudioUpdate(output=config.AudioOutputUpdate(**changes))
    )


def plain(**changes):
    return config.SessionUpdate(type="realtime", **changes)


@pytest.mark.parametrize(
    ("session", "meaning"),
    [
        ({}, plain()),
        ({"modalities": ["text"]}, plain(output_modalities=("text",))),
        ({"modalities": ["text", "audio"]}, plain(output_modalities=("audio",))),
        ({"modalities": ["audio", "text"]}, plain(output_modalities=("audio",))),
        ({"instructions": None}, plain(instructions=None)),
        ({"voice": "echo"}, spoken(voice="echo")),
        ({"voice": None}, plain()),
        ({"speed": 1}, spoken(speed=1.0)),
        ({"input_audio_format": "pcm16"}, heard(format=config.PcmFormat())),
        ({"input_audio_format": "g711_ulaw"}, heard(format=config.PcmuFormat())),
        ({"input_audio_format": "g711-alaw"}, heard(format=config.PcmaFormat())),
        ({"output_audio_format": "g711-ulaw"}, spoken(format=config.PcmuFormat())),
        ({"input_audio_transcription": None}, heard(transcription=None)),
        ({"input_audio_transcription": {"model": "w"}}, heard(transcription=config.Transcription(model="w"))),
        (
            {"input_audio_noise_reduction": {"type": "near_field"}},
            heard(noise_reduction=config.NoiseReduction(type="near_field")),
        ),
        ({"turn_detection": None}, heard(turn_detection=None)),
        ({"turn_detection": {"type": "none"}}, heard(turn_detection=None)),
        ({"turn_detection": {"type": "server_vad"}}, heard(turn_detection=config.ServerVad())),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 1, "create_response": False}},
            heard(turn_detection=config.ServerVad(threshold=1.0, create_response=False)),
        ),
        (
            {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}},
            heard(turn_detection=config.SemanticVad(eagerness="low")),
        ),
        ({"tool_choice": "required"}, plain(tool_choice="required")),
        (
            {"tool_choice": {"type": "function", "name": "f"}},
            plain(tool_choice=config.ForcedFunction(name="f")),
        ),
        (
            {"tool_choice": {"type": "function", "function": "f"}},
            plain(tool_choice=config.ForcedFunction(name="f")),
        ),
        ({"temperature": 0.6}, plain(temperature=0.6)),
        ({"temperature": 1}, plain(temperature=1.0)),
        ({"max_response_output_tokens": "inf"}, plain(max_output_tokens="inf")),
        ({"max_response_output_tokens": 4096}, plain(max_output_tokens=4096)),
        ({"tracing": "auto"}, plain(tracing="auto")),
        ({"id": "sess_1", "object": "realtime.session", "expires_at": 1, "client_secret": None}, plain()),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_flat_session_means_what_ga_nests(session, meaning):
    assert updated(**session) == meaning


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"type": "realtime"}, "unknown_parameter", "session.type"),
        ({"output_modalities": ["audio"]}, "unknown_parameter", "session.output_modalities"),
        ({"audio": {}}, "unknown_parameter", "session.audio"),
        ({"max_output_tokens": 9}, "unknown_parameter", "session.max_output_tokens"),
        ({"xyz": 1}, "unknown_parameter", "session.xyz"),
        (
            {"input_audio_transcription": {"enabled": True}},
            "unknown_parameter",
            "session.input_audio_transcription.enabled",
        ),
        ({"modalities": ["audio"]}, "invalid_value", "session.modalities"),
        ({"modalities": []}, "invalid_value", "session.modalities"),
        ({"modalities": ["text", "text"]}, "invalid_value", "session.modalities"),
        ({"modalities": ["video"]}, "invalid_value", "session.modalities[0]"),
        ({"modalities": "text"}, "invalid_type", "session.modalities"),
        ({"temperature": 0.5}, "invalid_value", "session.temperature"),
        ({"temperature": 1.3}, "invalid_value", "session.temperature"),
        ({"temperature": "hot"}, "invalid_type", "session.temperature"),
        ({"input_audio_format": "mp3"}, "invalid_value", "session.input_audio_format"),
        ({"turn_detection": {"type": "magic"}}, "invalid_value", "session.turn_detection.type"),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 2}},
            "invalid_value",
            "session.turn_detection.threshold",
        ),
        ({"tool_choice": {"type": "function"}}, "missing_required_parameter", "session.tool_choice.name"),
        ({"tools": [{"type": "function", "name": ""}]}, "invalid_value", "session.tools[0].name"),
        ({"max_response_output_tokens": 0}, "invalid_value", "session.max_response_output_tokens"),
        ({"speed": 9}, "invalid_value", "session.speed"),
    ],
    ids=lambda value: json.dumps(value),
)
def test_a_wrong_setting_is_named_as_the_client_named_it(session, code, param):
    assert updated(**session) == (code, param)


@pytest.mark.parametrize(("holder", "type"), [("session", "session.update"), ("response", "response.create")])
def test_speech_without_text_is_refused_in_the_services_words(holder, type):
    fault = read(type, event_id="mine", **{holder: {"modalities": ["audio"]}})
    assert fault == client.FrameRejected(
        code="invalid_value",
        message="Invalid modalities: ['audio']. Supported combinations are: ['text'] and ['audio', 'text'].",
        param=f"{holder}.modalities",
        rejected_event_id="mine",
    )


def test_a_transcription_session_is_updated_under_its_own_name():
    fields = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "w"},
        "modalities": ["text"],
    }
    event = read("transcription_session.update", session=fields)
    assert event.session == config.SessionUpdate(
        type="transcription",
        audio=config.SessionAudioUpdate(
            input=config.AudioInputUpdate(
                format=config.PcmFormat(), transcription=config.Transcription(model="w")
            )
        ),
    )
    fault = read("transcription_session.update", session={"voice": "alloy"})
    assert (fault.code, fault.param) == ("unknown_parameter", "session.voice")


@pytest.mark.parametrize(
    ("response", "meaning"),
    [
        ({}, {}),
        (NULLS, NULLS),
        ({"modalities": ["text"]}, {"output_modalities": ("text",)}),
        ({"modalities": None, "temperature": None}, {"temperature": None}),
        ({"max_response_output_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_output_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_output_tokens": 5, "max_response_output_tokens": None}, {"max_output_tokens": 5}),
        ({"commit": True, "cancel_previous": True, "append_input_items": None}, {}),
        ({"conversation": "none", "temperature": 0.7}, {"conversation": "none", "temperature": 0.7}),
    ],
    ids=lambda value: json.dumps(value),
)
def test_response_create_means_what_ga_says_otherwise(response, meaning):
    assert read("response.create", response=response).response == client.ResponseParams(**meaning)


def test_voice_format_and_input_of_a_response_are_translated():
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}]}
    wanted = {"voice": "echo", "output_audio_format": "g711_alaw", "input": [message]}
    event = read("response.create", response=wanted)
    output = client.ResponseAudioOutput(voice="echo", format=config.PcmaFormat())
    assert event.response == client.ResponseParams(
        audio=client.ResponseAudioParams(output=output),
        input=(items.Message(role="assistant", content=(items.OutputText(text="a"),)),),
    )
    early = read("response.create", response={"input_items": [message]})
    assert early.response.input == event.response.input
    fault = read("response.create", response={"output_modalities": ["text"]})
    assert (fault.code, fault.param) == ("unknown_parameter", "response.output_modalities")


@pytest.mark.parametrize(
    ("role", "part", "fits"),
    [
        ("user", {"type": "input_text", "text": "a"}, True),
        ("user", {"type": "input_audio", "audio": "AAA=", "transcript": "a"}, True),
        ("system", {"type": "input_text", "text": "a"}, True),
        ("assistant", {"type": "text", "text": "a"}, True),
        ("assistant", {"type": "audio", "transcript": "a"}, True),
        ("assistant", {"type": "output_text", "text": "a"}, False),
        ("assistant", {"type": "input_text", "text": "a"}, False),
        ("user", {"type": "text", "text": "a"}, False),
        ("user", {"type": "audio", "transcript": "a"}, False),
    ],
)
def test_parts_have_to_fit_their_role_under_the_short_names(role, part, fits):
    item = {"type": "message", "role": role, "content": [part], "object": "realtime.item"}
    event = read("conversation.item.create", item=item)
    if fits:
        assert isinstance(event, client.ItemCreated)
        assert json.loads(codec.encode_client(event))["item"]["content"] == [part]
    else:
        assert (event.code, event.param) == ("invalid_value", "item.content[0].type")
        assert f"'{part['type']}'" in event.message and "output" not in event.message.split("Supported")[1]


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "conversation.item.create", "item": {"type": "message", "role": "user",
          "content": [{"type": "input_text"}]}}, "missing_required_parameter", "item.content[0].text"),
        ({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "id": "x" * 33,
          "content": []}}, "string_above_max_length", "item.id"),
        ({"type": "input_audio_buffer.append", "audio": "no base64!"}, "invalid_value", "audio"),
        ({"type": "conversation.created"}, "invalid_value", "type"),
        ({"type": "response.create", "response": {"metadata": {"k": 1}}}, "invalid_type",
         "response.metadata.k"),
    ],
)  # fmt: skip
def test_what_both_dialects_refuse_is_refused_alike(frame, code, param):
    event = codec.decode_client(json.dumps(frame))
    assert (event.code, event.param) == (code, param)


def test_too_much_audio_in_one_frame_is_refused():
    audio = base64.b64encode(bytes(APPEND_LIMIT_BYTES + 3)).decode()
    event = read("input_audio_buffer.append", audio=audio)
    assert (event.code, event.param) == ("invalid_value", "audio")


def test_binary_frames_and_frames_that_are_no_json_are_refused():
    assert codec.decode_client(b"\0\1", binary=True).code == "invalid_event"
    assert codec.decode_client("nope").code == "invalid_json"


@pytest.mark.parametrize("event", CLIENT_SAMPLES, ids=lambda event: type(event).__name__)
def test_a_client_event_survives_the_wire(event):
    assert codec.decode_client(codec.encode_client(event)) == event


BODIES = [json.loads(codec.encode_client(event)) for event in CLIENT_SAMPLES]
BODIES += [
    {"type": "session.update", "session": {"voice": "echo", "modalities": ["text"], "temperature": 0.9}},
    {"type": "transcription_session.update", "session": {"turn_detection": {"type": "server_vad"}}},
]


@settings(max_examples=200, deadline=None)
@given(mutated(BODIES))
def test_a_mutated_client_frame_is_an_event_or_a_precise_rejection(frame):
    event = codec.decode_client(frame)
    if isinstance(event, client.FrameRejected):
        assert event.message != "Invalid event: it could not be read."
    else:
        relayed = codec.encode_client(event)
        assert codec.encode_client(codec.decode_client(relayed)) == relayed


@settings(max_examples=100, deadline=None)
@given(json_values.map(json.dumps))
def test_noise_is_rejected(frame):
    assert isinstance(codec.decode_client(frame), client.FrameRejected)
