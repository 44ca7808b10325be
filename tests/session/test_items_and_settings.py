"""Items, settings, errors and the end of a session."""

from __future__ import annotations

import pytest
from tests.session.harness import Talk, configured, said, sound

from kaiwa.events import client, engine, server
from kaiwa.events.config import (
    AudioInputUpdate,
    AudioOutputUpdate,
    FunctionTool,
    PcmuFormat,
    SemanticVad,
    ServerVad,
    SessionAudioUpdate,
    SessionUpdate,
    Transcription,
)
from kaiwa.events.items import InputAudio, InputText, Message, OutputAudio, OutputText
from kaiwa.events.response import FailureDetail
from kaiwa.session.policy import HostPolicy


def change(**fields) -> client.SettingsChanged:
    return client.SettingsChanged(event_id="c1", session=SessionUpdate(type="realtime", **fields))


def audio(**fields) -> SessionAudioUpdate:
    return SessionAudioUpdate(**fields)


# --- items ------------------------------------------------------------------------------------


def test_items_chain_through_the_order_the_client_gives():
    talk = Talk(at_front=("item_3",))
    assert talk.do(said("a"))[0] == "conversation.item.added item_1 after None"
    assert talk.do(said("b"))[0] == "conversation.item.added item_2 after item_1"
    assert talk.do(said("c", previous_item_id="root"))[0] == "conversation.item.added item_3 after None"
    assert talk.do(said("d", previous_item_id="item_1"))[0] == "conversation.item.added item_4 after item_1"
    talk.do(client.ResponseRequested())
    assert "".join(item.content[0].text for item in talk.of(engine.Generate)[0].history) == "cadb"
    talk.do(engine.GenerationEnded(response_id="resp_1"))
    talk.check()


def test_deleting_the_tail_relinks_what_follows():
    talk = Talk()
    talk.do(said("a"), said("b"))
    assert talk.do(client.ItemDeleteRequested(item_id="item_2")) == ["conversation.item.deleted item_2"]
    assert talk.do(said("c"))[0] == "conversation.item.added item_3 after item_1"
    talk.do(client.ItemDeleteRequested(item_id="item_1"), client.ItemDeleteRequested(item_id="item_3"))
    assert talk.do(said("d"))[0] == "conversation.item.added item_4 after None"
    talk.check()


def test_bad_items_are_refused_with_the_service_s_words():
    talk = Talk()
    text = (InputText(text="hi"),)
    talk.do(client.ItemCreated(item=Message(id="mine", role="user", content=text)))
    refused = talk.do(
        client.ItemCreated(item=Message(id="mine", role="user", content=text)),
        client.ItemCreated(item=Message(id="x" * 33, role="user", content=text)),
        client.ItemCreated(item=Message(role="assistant", content=text)),
        said("lost", previous_item_id="nowhere"),
        client.ItemRetrieveRequested(item_id="nowhere", event_id="rci_1"),
        client.ItemDeleteRequested(item_id="nowhere"),
        client.ItemTruncateRequested(item_id="nowhere", content_index=0, audio_end_ms=0),
        client.ItemTruncateRequested(item_id="mine", content_index=0, audio_end_ms=0),
    )
    assert refused == [
        "error item_create_duplicate_item_id item.id None",
        "error string_above_max_length item.id None",
        "error invalid_value item.content[0].type None",
        "error item_create_invalid_previous_item_id previous_item_id None",
        "error item_retrieve_invalid_item_id item_id rci_1",
        "error item_delete_invalid_item_id item_id None",
        "error item_truncate_invalid_item_id item_id None",
        "error unsupported_content_type None None",
    ]
    assert len(talk.of(server.ItemAdded)) == 1
    talk.check()


def test_a_user_s_audio_item_is_remembered_without_its_bytes():
    talk = Talk(configured())
    talk.do(change(audio=audio(input=AudioInputUpdate(transcription=Transcription(model="w")))))
    item = Message(role="user", content=(InputAudio(audio=sound(300)),))
    assert talk.do(client.ItemCreated(item=item))[2:] == ["ask Remember item_1", "ask Transcribe item_1"]
    assert talk.of(server.ItemAdded)[0].item.content == (InputAudio(transcript=None),)
    assert talk.of(engine.Remember)[0].pcm == sound(300)


def test_history_may_be_seeded_with_the_agent_s_words():
    talk = Talk()
    parts = (OutputText(text="before"),)
    talk.do(client.ItemCreated(item=Message(role="assistant", content=parts)), client.ResponseRequested())
    assert talk.of(engine.Generate)[0].history[0].content == parts


def test_truncation_has_its_limits():
    talk = Talk()
    talk.do(client.ResponseRequested(), engine.TextDelta(response_id="resp_1", text="one two three four"))
    talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(400)))

    def truncate(ms: int) -> list[str]:
        return talk.do(client.ItemTruncateRequested(item_id="item_1", content_index=0, audio_end_ms=ms))

    assert truncate(401) == ["error invalid_value audio_end_ms None"]
    assert talk.of(server.Failed)[0].error.message == "Audio content of 400ms is already shorter than 401ms"
    assert truncate(300) == ["conversation.item.truncated item_1 300"]
    talk.do(engine.GenerationEnded(response_id="resp_1"), client.ResponseRequested())
    assert talk.of(engine.Generate)[-1].history[0].content[0].transcript == "one two three"
    assert truncate(0) == ["conversation.item.truncated item_1 0"]
    talk.do(client.ResponseCancelled(), client.ResponseRequested())
    assert talk.of(engine.Generate)[-1].history == ()
    talk.do(client.ItemRetrieveRequested(item_id="item_1"))
    assert talk.of(server.ItemRetrieved)[0].item.content == (OutputAudio(transcript=""),)
    talk.do(engine.GenerationEnded(response_id="resp_3"))
    talk.check()


def test_a_client_s_bad_frame_is_answered_in_its_place():
    talk = Talk()
    frame = client.FrameRejected(code="invalid_json", message="no", rejected_event_id="e1")
    assert talk.do(said("a"), frame, said("b"))[2] == "error invalid_json None e1"


# --- settings ---------------------------------------------------------------------------------


def test_an_update_leaves_what_it_does_not_name():
    talk = Talk(configured(ServerVad(), instructions="old"))
    assert talk.do(change(instructions="new", tools=(FunctionTool(name="f"),))) == ["session.updated"]
    before, after = talk.events[0].session, talk.events[1].session
    assert after.instructions == "new" and after.tools == (FunctionTool(name="f"),)
    assert after.audio == before.audio and after.id == before.id and after.model == "m"


def test_null_and_empty_clear():
    talk = Talk(
        configured(ServerVad(), instructions="old", tools=(FunctionTool(name="f"),), tool_choice="required")
    )
    talk.do(change(instructions=None, tools=(), tool_choice=None, max_output_tokens=None))
    talk.do(change(audio=audio(input=AudioInputUpdate(turn_detection=None))))
    session = talk.of(server.SessionUpdated)[-1].session
    assert (session.instructions, session.tools, session.tool_choice) == ("", (), "auto")
    assert session.max_output_tokens == "inf" and session.audio.input.turn_detection is None
    assert talk.of(engine.Listen)[-1].mode == "off"


def test_detection_is_replaced_not_merged():
    talk = Talk(configured(ServerVad(silence_duration_ms=900, threshold=0.9)))
    talk.do(change(audio=audio(input=AudioInputUpdate(turn_detection=ServerVad(threshold=0.3)))))
    detection = talk.of(server.SessionUpdated)[0].session.audio.input.turn_detection
    assert detection == ServerVad(threshold=0.3)
    talk.do(change(audio=audio(input=AudioInputUpdate(turn_detection=SemanticVad()))))
    assert talk.of(server.SessionUpdated)[1].session.audio.input.turn_detection.eagerness == "auto"


@pytest.mark.parametrize(
    "wrong",
    [
        {"output_modalities": ("audio", "text")},
        {"max_output_tokens": 5000},
        {"audio": audio(output=AudioOutputUpdate(speed=3.0))},
    ],
)
def test_one_wrong_field_discards_the_whole_update(wrong):
    talk = Talk(configured(instructions="old"))
    lines = talk.do(change(instructions="new", **wrong))
    assert len(lines) == 1 and lines[0].startswith("error invalid_value") and lines[0].endswith("c1")
    assert talk.session.config.instructions == "old"


def test_the_kind_of_session_is_fixed():
    talk = Talk()
    wrong = client.SettingsChanged(session=SessionUpdate(type="transcription"))
    assert talk.do(wrong) == ["error invalid_parameter session.type None"]


def test_the_voice_is_locked_after_the_first_sound():
    talk = Talk()
    talk.do(change(audio=audio(output=AudioOutputUpdate(voice="echo"))))
    talk.do(client.ResponseRequested(), engine.TextDelta(response_id="resp_1", text="a"))
    talk.do(engine.AudioDelta(response_id="resp_1", pcm=sound(100)))
    assert talk.do(change(audio=audio(output=AudioOutputUpdate(voice="ash")))) == [
        "error cannot_update_voice session.audio.output.voice c1"
    ]
    assert talk.do(change(audio=audio(output=AudioOutputUpdate(voice="echo")))) == ["session.updated"]


def test_formats_change_each_direction_alone():
    talk = Talk()
    talk.do(change(audio=audio(input=AudioInputUpdate(format=PcmuFormat()))))
    talk.do(client.AudioAppended(audio=b"\xff" * 1600), client.AudioCommitted())
    assert talk.of(engine.Commit)[0].end_ms == 200
    assert talk.session.config.audio.output.format == configured().audio.output.format


def test_a_transcription_session_has_no_responses():
    talk = Talk(configured(ServerVad(), type="transcription", object="realtime.transcription_session"))
    assert talk.do(client.ResponseRequested()) == ["error invalid_parameter type None"]
    talk.speak(320)
    assert not any("response" in line for line in talk.pause(320))


# --- the end ----------------------------------------------------------------------------------


def test_a_session_ends_after_its_lifetime():
    talk = Talk(policy=HostPolicy(lifetime_s=3600))
    talk.do(client.ResponseRequested())
    assert talk.wait(3599) == []
    message = "Your session hit the maximum duration of 60 minutes."
    assert talk.wait(2) == [
        "ask Stop resp_1",
        "response.done resp_1 failed",
        "error session_expired None None",
        f"hang 1001 {message}",
    ]
    assert talk.do(said("more?")) == []
    talk.check()


def test_a_lost_engine_ends_the_conversation_in_order():
    talk = Talk()
    talk.do(client.ResponseRequested())
    error = FailureDetail(type="server_error", code="crashed", message="The engine is gone.")
    lines = talk.do(engine.EngineFailed(error=error))
    assert lines[1:3] == ["response.done resp_1 failed", "error server_error None None"]
    assert lines[-1].startswith("hang 1011")
    talk.check()
