"""What a client sends becomes an event, or a fault in the service's own words (reference B7)."""

import base64
import json

import pytest

from kaiwa.events import client, config, items, server
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.protocol.realtime.rules import APPEND_LIMIT_BYTES

codec = GaCodec()


def read(body):
    return codec.decode_client(json.dumps(body))


def update(**session):
    return {"type": "session.update", "event_id": "e1", "session": {"type": "realtime", **session}}


def message(role, *content, **more):
    item = {"type": "message", "role": role, "content": list(content), **more}
    return {"type": "conversation.item.create", "event_id": "e1", "item": item}


def create(**response):
    return {"type": "response.create", "event_id": "e1", "response": response}


BAD_AUDIO = "Expected base64-encoded audio bytes (mono PCM16 at 24kHz) but got an invalid value."

FAULTS = [
    ({"type": 3}, "invalid_event", "Invalid type for 'type': expected a string", "type"),
    ({"event_id": "e1"}, "invalid_event", "The 'type' field is missing.", None),
    ([1], "invalid_event", "expected an object, but got an array", None),
    ("text", "invalid_event", "expected an object, but got a string", None),
    (None, "invalid_event", "expected an object, but got null", None),
    ({"type": "session.update"}, "missing_required_parameter", "'session'", "session"),
    ({"type": "session.update", "session": {"voice": "x"}}, "missing_required_parameter", "'session.type'", "session.type"),
    (update(tool_choice={"type": "function"}), "missing_required_parameter", "'session.tool_choice.name'", "session.tool_choice.name"),
    (update(tool_choice={"name": "f"}), "missing_required_parameter", "", "session.tool_choice.type"),
    (update(tools=[{"type": "function"}]), "missing_required_parameter", "", "session.tools[0].name"),
    (update(tools=[{"type": "function", "name": ""}]), "invalid_value", "empty string", "session.tools[0].name"),
    (message("user", {"type": "input_text"}), "missing_required_parameter", "'item.content[0].text'", "item.content[0].text"),
    (update(shoe_size=42), "unknown_parameter", "Unknown parameter: 'session.shoe_size'.", "session.shoe_size"),
    (update(audio={"input": {"transcription": {"enabled": True}}}), "unknown_parameter", "", "session.audio.input.transcription.enabled"),
    (update(instructions=5), "invalid_type", "Invalid type for 'session.instructions': expected a string, but got an integer instead.", "session.instructions"),
    (update(tools={}), "invalid_type", "expected an array, but got an object", "session.tools"),
    (update(tool_choice=True), "invalid_type", "expected a string or an object, but got a boolean", "session.tool_choice"),
    (update(tool_choice="maybe"), "invalid_value", "Invalid value: 'maybe'. Supported values are: 'auto', 'none', and 'required'.", "session.tool_choice"),
    (update(max_output_tokens=0), "invalid_value", "Expected a value >= 1, but got 0", "session.max_output_tokens"),
    (update(max_output_tokens=5000), "invalid_value", "Expected a value <= 4096, but got 5000", "session.max_output_tokens"),
    (update(max_output_tokens="all"), "invalid_value", "Supported values are: 'inf'.", "session.max_output_tokens"),
    (update(max_output_tokens=1.5), "invalid_type", "expected an integer, but got a decimal", "session.max_output_tokens"),
    (update(output_modalities=["audio", "text"]), "invalid_value", "Invalid modalities: ['audio', 'text'].", "session.output_modalities"),
    (update(output_modalities=[]), "invalid_value", "Invalid modalities", "session.output_modalities"),
    (update(output_modalities=["smell"]), "invalid_value", "Supported values are: 'audio' and 'text'.", "session.output_modalities[0]"),
    (update(audio={"output": {"speed": 2}}), "invalid_value", "Expected a value <= 1.5, but got 2", "session.audio.output.speed"),
    (update(audio={"output": {"speed": 0.1}}), "invalid_value", "Expected a value >= 0.25, but got 0.1", "session.audio.output.speed"),
    (update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 4000}}}), "invalid_value", ">= 5000", "session.audio.input.turn_detection.idle_timeout_ms"),
    (update(audio={"input": {"turn_detection": {"type": "none"}}}), "invalid_value", "'server_vad' and 'semantic_vad'", "session.audio.input.turn_detection.type"),
    (update(audio={"input": {"turn_detection": {}}}), "missing_required_parameter", "", "session.audio.input.turn_detection.type"),
    (update(audio={"input": {"format": {"type": "audio/pcm", "rate": 16000}}}), "invalid_value", "'24000'", "session.audio.input.format.rate"),
    (create(output_modalities=["text", "audio"]), "invalid_value", "Invalid modalities", "response.output_modalities"),
    (create(audio={"output": {"speed": 9.0}}), "invalid_value", "<= 1.5", "response.audio.output.speed"),
    (create(metadata={str(n): "" for n in range(17)}), "object_above_max_properties", "at most 16", "response.metadata"),
    (create(metadata={"k" * 65: "v"}), "string_above_max_length", "maximum length 64", "response.metadata"),
    (create(metadata={"k": "v" * 513}), "string_above_max_length", "maximum length 512", "response.metadata.k"),
    (create(metadata={"k": 1}), "invalid_type", "expected a string, but got an integer", "response.metadata.k"),
    (create(conversation="some"), "invalid_value", "'auto' and 'none'", "response.conversation"),
    (create(input=[{"type": "item_reference"}]), "missing_required_parameter", "", "response.input[0].id"),
    (create(input=[{"type": "item_reference", "id": "i" * 33}]), "string_above_max_length", "maximum length 32", "response.input[0].id"),
    (message("assistant", {"type": "text", "text": "a"}), "invalid_value", "Invalid value: 'text'. Supported values are: 'output_text' and 'output_audio'.", "item.content[0].type"),
    (message("assistant", {"type": "input_text", "text": "a"}), "invalid_value", "'output_text' and 'output_audio'", "item.content[0].type"),
    (message("user", {"type": "output_text", "text": "a"}), "invalid_value", "'input_text', 'input_audio', and 'input_image'", "item.content[0].type"),
    (message("system", {"type": "input_audio"}), "invalid_value", "Supported values are: 'input_text'.", "item.content[0].type"),
    (message("robot"), "invalid_value", "'assistant', 'system', and 'user'", "item.role"),
    (message("user", id="i" * 33), "string_above_max_length", "Invalid 'item.id': string too long. Expected a string with maximum length 32, but got a string with length 33 instead.", "item.id"),
    (message("user", {"type": "input_audio", "audio": "&"}), "invalid_value", BAD_AUDIO, "item.content[0].audio"),
    ({"type": "conversation.item.create", "item": {"type": "mcp_call"}}, "invalid_value", "'function_call_output'", "item.type"),
    ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "&&&&"}, "invalid_value", f"Invalid 'audio'. {BAD_AUDIO}", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "AAA"}, "invalid_value", BAD_AUDIO, "audio"),
    ({"type": "input_audio_buffer.append", "audio": 7}, "invalid_type", "expected a string", "audio"),
    ({"type": "input_audio_buffer.commit", "now": True}, "unknown_parameter", "", "now"),
    ({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1}, "invalid_value", ">= 0", "audio_end_ms"),
    ({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1.5}, "invalid_type", "an integer", "audio_end_ms"),
    ({"type": "conversation.item.delete", "item_id": None}, "invalid_type", "but got null", "item_id"),
    ({"type": "response.cancel", "event_id": "e" * 513}, "string_above_max_length", "maximum length 512, but got a string with length 513", "event_id"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "words", "param"), FAULTS)
def test_a_frame_that_breaks_a_rule_is_rejected_with_its_code_and_path(body, code, words, param):
    rejected = read(body)
    assert isinstance(rejected, client.FrameRejected)
    assert (rejected.code, rejected.param) == (code, param)
    assert words in rejected.message
    given = body.get("event_id") if isinstance(body, dict) else None
    assert rejected.rejected_event_id == given
    assert rejected.error_type == "invalid_request_error"


@pytest.mark.parametrize("frame", ["", "{", "nope", b"\xff\xfe", "\ud800", "[" * 100_000, '{"type":'])
def test_text_that_is_not_json_is_rejected_as_invalid_json(frame):
    rejected = codec.decode_client(frame)
    assert rejected == client.FrameRejected(
        code="invalid_json", message="Invalid event: failed to parse JSON value."
    )


def test_a_binary_frame_is_rejected_whatever_it_holds():
    rejected = codec.decode_client(b'{"type":"input_audio_buffer.commit"}', binary=True)
    assert rejected == client.FrameRejected(
        code="invalid_event",
        message="Expected a text WebSocket message; binary frames are not supported.",
    )


def test_an_unknown_type_is_answered_with_the_list_of_known_ones():
    rejected = read({"type": "x", "event_id": "e9"})
    assert rejected == client.FrameRejected(
        code="invalid_value",
        message=(
            "Invalid value: 'x'. Supported values are: 'session.update', 'session.close', "
            "'input_audio_buffer.append', 'session.input_audio_buffer.append', 'input_audio_buffer.commit', "
            "'input_audio_buffer.clear', 'conversation.item.create', 'conversation.item.truncate', "
            "'conversation.item.delete', 'conversation.item.retrieve', 'response.create', and 'response.cancel'."
        ),
        param="type",
        rejected_event_id="e9",
    )


def test_a_huge_wrong_value_is_not_sent_back_whole():
    rejected = read({"type": "x" * 100_000})
    assert len(rejected.message) < 1000


def test_fifteen_mebibytes_of_audio_are_accepted_and_one_sample_more_is_not():
    def append(size):
        audio = base64.b64encode(bytes(size)).decode()
        return codec.decode_client('{"type":"input_audio_buffer.append","audio":"' + audio + '"}')

    assert append(APPEND_LIMIT_BYTES) == client.AudioAppended(audio=bytes(APPEND_LIMIT_BYTES))
    rejected = append(APPEND_LIMIT_BYTES + 2)
    assert (rejected.code, rejected.param) == ("invalid_value", "audio")


def test_audio_of_odd_length_passes_because_g711_may_be_odd():
    assert read({"type": "input_audio_buffer.append", "audio": "AQID"}) == client.AudioAppended(
        audio=b"\1\2\3"
    )


def test_base64_with_json_escapes_is_read():
    frame = '{"type":"input_audio_buffer.append","audio":"\\u002B\\/8="}'
    assert codec.decode_client(frame) == client.AudioAppended(audio=b"\xfb\xff")


def test_the_first_frames_of_agents_js_are_accepted():
    assert read({"type": "session.update", "session": {"type": "realtime", "tracing": "auto"}}) == (
        client.SettingsChanged(session=config.SessionUpdate(type="realtime", tracing="auto"))
    )
    session = {
        "type": "realtime",
        "instructions": "hi",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": None,
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1},
        },
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": True}],
    }
    event = read({"type": "session.update", "session": session})
    assert isinstance(event, client.SettingsChanged)
    assert event.session.tools == (config.FunctionTool(name="f", description="d", parameters={}),)
    assert event.session.audio.output.speed == 1.0


def test_the_nulls_of_livekit_mean_the_session_value():
    event = read(create(instructions=None, tools=None, metadata={"client_event_id": "response_create_1"}))
    assert isinstance(event, client.ResponseRequested)
    assert event.response.instructions is None
    assert event.response.tools is None


@pytest.mark.parametrize(
    "body",
    [
        update(temperature=0.8, id="sess_1", object="realtime.session", expires_at=0),
        update(audio=None, model=None, output_modalities=None),
        update(audio={"input": None, "output": {"voice": None, "speed": None}}),
        update(audio={"input": {"transcription": {"model": "m", "keywords": ["a"], "delay": "low"}}}),
        update(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": None}}}),
        update(audio={"output": {"format": {"type": "audio/pcmu", "rate": 8000}}}),
        create(temperature=1, audio=None, input=None),
        message("user", {"type": "input_text", "text": "a", "audio": None, "transcript": None}, object="realtime.item"),
        message("user", {"type": "input_text", "text": "a"}, id=None, status=None, object=None),
        message("user", {"type": "input_audio", "audio": None, "transcript": "hi"}),
        {"type": "conversation.item.create", "previous_item_id": None, "item": {"type": "function_call_output", "call_id": "c", "output": "o", "status": "completed"}},
        {"type": "response.create", "response": None},
        {"type": "response.cancel", "event_id": None, "response_id": None},
    ],
)  # fmt: skip
def test_habits_of_stock_clients_are_forgiven(body):
    assert not isinstance(read(body), client.FrameRejected)


def test_an_absent_key_stays_apart_from_null():
    off = read(update(audio={"input": {"turn_detection": None}}))
    assert off.session.audio.input.turn_detection is None
    assert read(update()).session.audio is not None
    assert off.session.audio.input.transcription is not None


def test_a_user_message_is_read_in_order():
    event = read(
        message("user", {"type": "input_text", "text": "a"}, {"type": "input_audio", "audio": "AAA="})
    )
    content = (items.InputText(text="a"), items.InputAudio(audio=b"\0\0"))
    assert event.item == items.Message(role="user", content=content)


def test_a_response_may_refer_to_items_of_the_conversation():
    event = read(create(input=[{"type": "item_reference", "id": "item_1"}]))
    assert event.response.input == (items.ItemReference(id="item_1"),)
    assert codec.decode_client(codec.encode_client(event)) == event


def test_a_client_may_send_the_session_back_as_it_was_shown():
    created = server.SessionCreated(event_id="event_1", session=config.SessionConfig(id="sess_1", model="m"))
    shown = json.loads(codec.encode_server(created))["session"]
    event = read({"type": "session.update", "session": shown})
    assert isinstance(event, client.SettingsChanged)
    assert event.session.audio.input.turn_detection == config.ServerVad()
