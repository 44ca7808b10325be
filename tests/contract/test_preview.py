"""C16 and the preview halves of C2 to C4: what a socket of the older dialect is told, and what it may say."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError
from tests.contract.breakages import (
    Breakage,
    delay,
    drop,
    insert,
    put,
    refuse,
    repeat,
    told_with,
    unheard,
    without,
)
from tests.contract.desk import Desk
from tests.contract.manifest import rule

from kaiwa.events import engine
from kaiwa.events.config import AudioOutput, CustomVoice, SessionAudio, SessionConfig
from kaiwa.protocol.realtime.preview_editions import OCTOBER_2024

CREATED, UPDATED = "conversation.item.created", "session.updated"
ADDED, FIRST_VERSION = "response.output_item.added", "preview-2024-10-01"
SESSION_KEYS = {
    "id", "object", "model", "modalities", "instructions", "voice", "input_audio_format",
    "output_audio_format", "input_audio_transcription", "turn_detection", "tools", "tool_choice",
    "temperature", "max_response_output_tokens",
}  # fmt: skip
A_GA_ITEM = {
    "type": "conversation.item.done",
    "event_id": "event_x",
    "previous_item_id": None,
    "item": {"id": "item_x", "type": "message", "role": "user", "content": []},
}


def error(frames: list[dict[str, Any]]) -> tuple[str, str | None]:
    assert [frame["type"] for frame in frames] == ["error"]
    return frames[0]["error"]["code"], frames[0]["error"]["param"]


def shown(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the session that one update was answered with."""
    assert [frame["type"] for frame in frames] == [UPDATED]
    return frames[0]["session"]


def talk(desk: Desk) -> None:
    """Let everything happen that a peer of the dialect can see."""
    desk.update(input_audio_transcription={"model": "whisper-1"})
    desk.speak(640)
    desk.pause(640)
    desk.transcribe("hello", "hel", "lo")
    desk.answer("Good ", "day.", audio_ms=200)
    desk.turn_detection(None)
    desk.say("Hello.", id="mine")
    desk.respond(modalities=["text"])
    desk.answer("Good ", "day.")
    desk.respond()
    desk.call("f", '{"a":1}', pieces=2)
    desk.end()
    desk.send({"type": "conversation.item.retrieve", "item_id": "mine"})
    desk.send({"type": "conversation.item.delete", "item_id": "mine"})
    desk.append(200)
    desk.send({"type": "input_audio_buffer.clear"})


@pytest.fixture
def strict_desk(planted: Breakage | None) -> Desk:
    """A peer of the first version, whose clients accept nothing they do not know."""
    return Desk(planted, dialect=FIRST_VERSION)


# --- the session -------------------------------------------------------------------------------


@rule("K-34", broken_by=without("session.created", "session.max_response_output_tokens"))
@rule("K-34", broken_by=without("session.created", "session.input_audio_transcription"))
def test_the_session_is_created_flat(preview_desk: Desk) -> None:
    assert set(preview_desk.one("session.created")["session"]) >= SESSION_KEYS


@rule("K-35", broken_by=put(UPDATED, "session.temperature", 1))
def test_a_temperature_is_a_decimal_also_when_it_is_whole(preview_desk: Desk) -> None:
    told = [preview_desk.one("session.created")["session"]["temperature"]]
    told += [shown(preview_desk.update(temperature=value))["temperature"] for value in (1, 0.6)]
    assert told == [0.8, 1.0, 0.6] and all(isinstance(value, float) for value in told)
    assert preview_desk.respond()[0]["response"]["temperature"] == 0.6


@rule("K-40", broken_by=told_with("session.update", "session.type", "realtime"))
@rule("K-40", broken_by=put("error", "error.code", "invalid_value"))
def test_an_update_is_flat_and_has_no_type(preview_desk: Desk) -> None:
    assert shown(preview_desk.update(instructions="Be kind."))["instructions"] == "Be kind."
    nested = preview_desk.update(audio={"output": {"voice": "echo"}})
    assert error(nested) == ("unknown_parameter", "session.audio")
    assert error(preview_desk.update(output_modalities=["text"])) == (
        "unknown_parameter",
        "session.output_modalities",
    )


@rule("K-45", broken_by=put(UPDATED, "session.turn_detection", {"type": "none"}))
@rule("K-45", broken_by=told_with("session.update", "session.turn_detection", {"type": "server_vad"}))
def test_detection_of_type_none_is_no_detection(preview_desk: Desk) -> None:
    assert shown(preview_desk.turn_detection({"type": "none"}))["turn_detection"] is None
    preview_desk.speak(640)
    preview_desk.pause(640)
    assert preview_desk.of("input_audio_buffer.speech_started") == []


@rule("K-52", broken_by=put("error", "error.message", "Invalid modalities: ['audio']."))
@rule("K-52", broken_by=unheard("session.update"))
def test_speech_without_text_is_no_modality(preview_desk: Desk) -> None:
    refusal = preview_desk.update(modalities=["audio"])
    assert error(refusal) == ("invalid_value", "session.modalities")
    assert refusal[0]["error"]["message"] == (
        "Invalid modalities: ['audio']. Supported combinations are: ['text'] and ['audio', 'text']."
    )


@rule("K-53", broken_by=put(UPDATED, "session.modalities", ["text"]))
@rule("K-53", broken_by=refuse(UPDATED, nth=4))
def test_text_and_audio_may_be_named_in_either_order(preview_desk: Desk) -> None:
    for order in (["text", "audio"], ["audio", "text"]):
        preview_desk.update(modalities=["text"])
        assert set(shown(preview_desk.update(modalities=order))["modalities"]) == {"text", "audio"}


@rule("K-278", broken_by=put(UPDATED, "session.speed", 1.0))
@rule("K-278", broken_by=put(UPDATED, "session.turn_detection.create_response", True, nth=1))
@rule("K-278", broken_by=refuse(UPDATED, nth=2))
def test_what_late_clients_set_is_taken(preview_desk: Desk) -> None:
    vad = {"type": "server_vad", "create_response": False}
    session = shown(preview_desk.update(speed=1.25, turn_detection=vad))
    assert session["speed"] == 1.25
    assert session["turn_detection"]["create_response"] is False
    semantic = shown(preview_desk.turn_detection({"type": "semantic_vad", "eagerness": "low"}))
    assert semantic["turn_detection"]["eagerness"] == "low"


@rule("K-279", broken_by=unheard("response.create"))
@rule("K-279", broken_by=refuse("response.created"))
def test_the_first_client_s_own_response_settings_are_not_refused(preview_desk: Desk) -> None:
    preview_desk.say("Hello.")
    begun = preview_desk.respond(
        commit=True, cancel_previous=True, append_input_items=None, instructions=None
    )
    assert [frame["type"] for frame in begun] == ["response.created"]
    preview_desk.answer("Good day.")
    assert preview_desk.one("response.done")["response"]["status"] == "completed"


@rule("K-293", broken_by=put("transcription_session.updated", "type", UPDATED))
@rule("K-293", broken_by=unheard("transcription_session.update"))
def test_a_transcription_session_is_updated_under_its_own_name(planted: Breakage | None) -> None:
    config = SessionConfig(
        type="transcription", object="realtime.transcription_session", model="m", expires_at=9
    )
    desk = Desk(planted, dialect="preview", config=config)
    session = {"input_audio_transcription": {"model": "whisper-1", "language": "ja"}}
    desk.send({"type": "transcription_session.update", "session": session})
    updated = desk.one("transcription_session.updated")["session"]
    assert updated["object"] == "realtime.transcription_session"
    assert updated["input_audio_transcription"]["language"] == "ja"


# --- items and responses -----------------------------------------------------------------------


@rule("K-66", broken_by=repeat(CREATED))
@rule("K-271", broken_by=delay(ADDED, until=CREATED))
@rule("K-274", broken_by=without(CREATED, "previous_item_id", nth=1))
@rule("K-274", broken_by=without("input_audio_buffer.committed", "previous_item_id"))
def test_an_item_is_created_once_and_after_its_response_named_it(preview_desk: Desk) -> None:
    preview_desk.turn_detection(None)
    assert [frame["type"] for frame in preview_desk.say("Hello.", id="mine")] == [CREATED]
    assert preview_desk.last(CREATED).get("previous_item_id", "absent") is None
    preview_desk.respond()
    preview_desk.answer("Good day.", audio_ms=100)
    kinds = preview_desk.types[preview_desk.types.index("response.created") :]
    assert kinds[:3] == ["response.created", ADDED, CREATED]
    assert preview_desk.last(CREATED).get("previous_item_id") == "mine"
    assert preview_desk.last(ADDED)["item"]["id"] == preview_desk.last(CREATED)["item"]["id"]
    preview_desk.append(200)
    preview_desk.commit()
    spoken = preview_desk.last(ADDED)["item"]["id"]
    assert preview_desk.one("input_audio_buffer.committed").get("previous_item_id") == spoken


@rule("K-77", broken_by=without(CREATED, "item.object"))
@rule("K-272", broken_by=put("response.done", "response.output.0.content.0.type", "output_audio"))
@rule("K-272", broken_by=without(CREATED, "item.content.0.transcript", nth=1))
def test_items_have_the_older_parts_and_say_that_they_are_items(preview_desk: Desk) -> None:
    preview_desk.turn_detection(None)
    preview_desk.append(200)
    preview_desk.commit()
    heard = preview_desk.one(CREATED)["item"]
    assert heard.get("object") == "realtime.item"
    assert heard["content"] == [{"type": "input_audio", "transcript": None}]
    for modalities, part in ((["text", "audio"], "audio"), (["text"], "text")):
        preview_desk.respond(modalities=modalities)
        preview_desk.answer("Good day.", audio_ms=100)
        (item,) = preview_desk.last("response.done")["response"]["output"]
        assert item.get("object") == "realtime.item"
        assert [one["type"] for one in item["content"]] == [part]


@rule("K-78", broken_by=refuse(CREATED, nth=1))
@rule("K-78", broken_by=told_with("conversation.item.create", "item.content.0.type", "text"))
def test_an_assistant_s_text_is_a_part_named_text(preview_desk: Desk) -> None:
    item = {"type": "message", "role": "assistant"}
    old = preview_desk.item({**item, "content": [{"type": "text", "text": "Yes."}]})
    assert [frame["type"] for frame in old] == [CREATED]
    new = preview_desk.item({**item, "content": [{"type": "output_text", "text": "Yes."}]})
    assert error(new) == ("invalid_value", "item.content[0].type")


@rule("K-273", broken_by=without("response.done", "response.status_details"))
@rule("K-273", broken_by=put("response.done", "response.status_details", {"type": "completed"}))
@rule("K-273", broken_by=without("response.done", "response.usage"))
def test_a_response_that_is_done_has_its_details_output_and_usage(preview_desk: Desk) -> None:
    preview_desk.respond()
    preview_desk.answer("Good day.")
    response = preview_desk.one("response.done")["response"]
    assert {"status_details", "output", "usage"} <= set(response)
    assert response["status"] == "completed" and response["status_details"] is None
    assert response["usage"] is not None and len(response["output"]) == 1


# --- names -------------------------------------------------------------------------------------


@rule("K-268", broken_by=put("response.audio.delta", "type", "response.output_audio.delta"))
@rule("K-268", broken_by=put("response.text.done", "type", "response.output_text.done"))
@rule("K-268", broken_by=insert("response.output_item.done", A_GA_ITEM))
@rule("K-268", broken_by=put(CREATED, "type", "conversation.item.added"))
def test_no_name_of_ga_is_used(preview_desk: Desk) -> None:
    talk(preview_desk)
    ours = [name for name in preview_desk.types if ".output_text" in name or ".output_audio" in name]
    assert ours == []
    assert not {"conversation.item.added", "conversation.item.done"} & set(preview_desk.types)
    assert {"response.text.delta", "response.audio.delta", CREATED} <= set(preview_desk.types)


@rule("K-269", broken_by=insert("response.done", {"type": CREATED, "event_id": "event_x"}))
@rule("K-269", broken_by=insert("response.created", {"type": "conversation.created", "event_id": "event_x"}))
def test_no_name_of_the_preview_is_used_on_ga(desk: Desk) -> None:
    desk.say("Hello.")
    desk.respond()
    desk.answer("Good day.", audio_ms=100)
    assert not {CREATED, "conversation.created"} & set(desk.types)
    assert len(desk.of("conversation.item.added")) == 2


LATER = {"type": "conversation.item.retrieved", "event_id": "event_x", "item": {}}


@rule("K-270", broken_by=insert("conversation.item.deleted", LATER))
@rule("K-270", broken_by=insert("response.done", {**LATER, "type": "output_audio_buffer.started"}))
@rule("K-270", broken_by=insert("response.created", {**LATER, "type": "conversation.created"}))
@rule("K-270", broken_by=insert("response.created", {**LATER, "type": "mcp_list_tools.completed"}))
def test_the_first_version_is_told_nothing_that_came_later(strict_desk: Desk) -> None:
    talk(strict_desk)
    assert OCTOBER_2024.types is not None and len(OCTOBER_2024.types) == 27
    assert set(strict_desk.types) <= OCTOBER_2024.types
    later = {"conversation.item.retrieved", "conversation.item.input_audio_transcription.delta"}
    everyone = Desk(dialect="preview")
    talk(everyone)
    assert later <= set(everyone.types)


# --- strict clients ----------------------------------------------------------------------------

Format = Literal["pcm16", "g711-ulaw", "g711-alaw"]


class StrictVad(BaseModel):
    type: Literal["server_vad"]
    threshold: float | None = Field(default=None, strict=True, ge=0, le=1)
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


class StrictTranscription(BaseModel):
    model: Literal["whisper-1"]


class StrictSession(BaseModel):
    """As demanding as the models of the Python client of 2024: what it refuses, that client refuses."""

    id: str
    model: str
    modalities: set[Literal["text", "audio"]]
    instructions: str
    voice: Literal["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"]
    input_audio_format: Format
    output_audio_format: Format
    input_audio_transcription: StrictTranscription | None
    turn_detection: StrictVad | None
    tools: list[Any]
    tool_choice: Literal["auto", "none", "required"]
    temperature: float = Field(strict=True, ge=0.6, le=1.2)
    max_response_output_tokens: int | Literal["inf"] | None


def reads(session: dict[str, Any]) -> None:
    try:
        StrictSession.model_validate(session)
    except ValidationError as refused:
        pytest.fail(str(refused))


@rule("K-275", broken_by=put("session.created", "session.voice", "marin"))
@rule("K-275", broken_by=put("session.created", "session.input_audio_format", "audio/pcm"))
@rule("K-275", broken_by=put(UPDATED, "session.input_audio_transcription.model", "gpt-4o-transcribe"))
@rule("K-275", broken_by=without("session.created", "session.tools"))
def test_a_strict_client_reads_the_session(strict_desk: Desk) -> None:
    reads(strict_desk.one("session.created")["session"])
    reads(shown(strict_desk.update(input_audio_transcription={"model": "gpt-4o-transcribe"})))
    reads(shown(strict_desk.turn_detection({"type": "semantic_vad"})))


@pytest.mark.parametrize("voice", ["kaiwa-ja", CustomVoice(id="voice_1")])
@rule("K-276", broken_by=put("session.created", "session.voice", "kaiwa-ja"))
@rule("K-276", broken_by=put("response.created", "response.voice", {"id": "voice_1"}))
def test_a_voice_of_our_own_goes_by_a_name_that_strict_clients_know(
    planted: Breakage | None, voice: Any
) -> None:
    config = SessionConfig(model="m", audio=SessionAudio(output=AudioOutput(voice=voice)))
    desk = Desk(planted, dialect=FIRST_VERSION, config=config)
    reads(desk.one("session.created")["session"])
    assert desk.respond()[0]["response"]["voice"] == "alloy"
    assert desk.asked_for(engine.Generate)[-1].voice == getattr(voice, "id", voice)


@rule("K-277", broken_by=drop(CREATED))
@rule("K-277", broken_by=put("conversation.item.input_audio_transcription.completed", "item_id", "item_x"))
@rule("K-277", broken_by=told_with("session.update", "session.input_audio_transcription", None))
def test_a_client_that_waits_for_its_committed_audio_gets_what_it_waits_for(strict_desk: Desk) -> None:
    strict_desk.turn_detection(None)
    strict_desk.append(200)
    strict_desk.commit()
    committed = strict_desk.one("input_audio_buffer.committed")
    assert strict_desk.one(CREATED)["item"]["id"] == committed["item_id"]
    strict_desk.update(input_audio_transcription={"model": "whisper-1"})
    strict_desk.append(200)
    committed = strict_desk.commit()[0]
    assert strict_desk.asked_for(engine.Transcribe)
    strict_desk.transcribe("hello", "hel", "lo")
    completed = strict_desk.one("conversation.item.input_audio_transcription.completed")
    assert completed["item_id"] == committed["item_id"]
