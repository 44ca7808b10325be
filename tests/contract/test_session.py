"""C2: the session object and session.update."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from tests.contract.breakages import Breakage, drop, put, refuse, told, told_with, unheard, without
from tests.contract.desk import Desk
from tests.contract.manifest import rule

from kaiwa.events import engine
from kaiwa.server.app import create_app
from kaiwa.server.conversations import HostAnswerer
from kaiwa.server.ids import new_id
from kaiwa.server.settings import Settings
from kaiwa.testing.scripted import ScriptedEngine

GA_KEYS = {
    "type", "object", "id", "model", "output_modalities", "instructions", "tools", "tool_choice",
    "max_output_tokens", "tracing", "truncation", "prompt", "expires_at", "audio", "include",
}  # fmt: skip
PCM = {"type": "audio/pcm", "rate": 24000}


def code_and_param(frame: dict[str, Any]) -> tuple[str, str | None]:
    assert frame["type"] == "error"
    return frame["error"]["code"], frame["error"]["param"]


@rule("K-2", broken_by=drop("session.created"))
@rule("K-33", broken_by=without("session.created", "session.prompt"))
def test_the_session_is_created_whole_before_the_peer_says_a_word(desk: Desk) -> None:
    session = desk.one("session.created")["session"]
    assert set(session) == GA_KEYS
    assert session["prompt"] is None and session["include"] is None
    assert set(session["audio"]["input"]) == {"format", "transcription", "noise_reduction", "turn_detection"}
    assert set(session["audio"]["output"]) == {"format", "voice", "speed"}


@rule("K-3", broken_by=put("session.updated", "event_id", "event_000000000000000000001"))
@rule("K-3", broken_by=put("response.created", "event_id", "evt_1"))
@rule("K-3", broken_by=put("response.output_text.delta", "type", 7))
def test_every_event_has_a_type_and_an_id_of_its_own(desk: Desk) -> None:
    desk.update(output_modalities=["text"])
    desk.say("Hello.")
    desk.respond()
    desk.answer("Hi", " there.")
    desk.send({"type": "nonsense"})
    assert all(isinstance(frame["type"], str) for frame in desk.frames)
    ids = [frame["event_id"] for frame in desk.frames]
    assert len(ids) > 15 and all(name.startswith("event_") for name in ids)
    assert len(set(ids)) == len(ids)


@rule("K-36", broken_by=put("session.created", "session.id", "session_1"))
@rule("K-36", broken_by=put("session.updated", "session.id", "sess_another", nth=2))
def test_a_session_keeps_its_id(planted: Breakage | None) -> None:
    desk = Desk(planted, ids=new_id)
    session_id = desk.one("session.created")["session"]["id"]
    assert re.fullmatch(r"sess_\w{21}", session_id)
    desk.update(instructions="new")
    desk.update(audio={"input": {"turn_detection": None}})
    assert [frame["session"]["id"] for frame in desk.of("session.updated")] == [session_id] * 2


async def first_frame(app: Starlette) -> dict[str, Any]:
    """Connect to the application without a socket, and return what it says first."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    path, query = "/v1/realtime", b"model=gpt-realtime"
    scope = {"type": "websocket", "path": path, "query_string": query, "headers": [], "subprotocols": []}
    async with app.router.lifespan_context(app), asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        heard.put_nowait({"type": "websocket.connect"})
        tasks.create_task(app(scope, heard.get, said.put))
        assert (await said.get())["type"] == "websocket.accept"
        frame = json.loads((await said.get())["text"])
        heard.put_nowait({"type": "websocket.disconnect", "code": 1000})
    return frame


@rule("K-37", broken_by=put("session.created", "session.expires_at", lambda given: given + 60))
async def test_a_session_says_when_it_will_end(planted: Breakage | None, tmp_path: Path) -> None:
    given = Settings(session_minutes=7, database=tmp_path / "desk.db")
    app = create_app(given, HostAnswerer(given, lambda agent: ScriptedEngine()))
    earliest = int(time.time()) + 7 * 60
    (created,) = (planted or Breakage()).to_peer(await first_frame(app))
    assert created["type"] == "session.created"
    assert earliest <= created["session"]["expires_at"] <= time.time() + 7 * 60


@rule("K-38", broken_by=put("session.updated", "session.tool_choice", "none"))
@rule("K-64", broken_by=put("session.updated", "event_id", "mine"))
def test_an_update_changes_what_it_names_and_shows_the_whole(desk: Desk) -> None:
    before = desk.one("session.created")["session"]
    desk.send(
        {"type": "session.update", "event_id": "mine", "session": {"type": "realtime", "instructions": "x"}}
    )
    updated = desk.one("session.updated")
    assert updated["session"] == before | {"instructions": "x"}
    assert updated["event_id"] != "mine"


@rule("K-39", broken_by=told_with("session.update", "session.type", "realtime"))
def test_an_update_that_does_not_say_its_type_is_refused(desk: Desk) -> None:
    (refusal,) = desk.send({"type": "session.update", "session": {"instructions": "x"}})
    assert code_and_param(refusal) == ("missing_required_parameter", "session.type")
    assert desk.update()[-1]["session"]["instructions"] == ""


def in_preview_shape(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Forgive what belongs to the other dialect, as a server does that does not tell them apart."""
    theirs = {"type", "audio", "output_modalities"}
    named = {key: value for key, value in frame["session"].items() if key not in theirs}
    return [{**frame, "session": named}]


@rule("K-40", broken_by=refuse("session.updated"))
@rule("K-40", broken_by=told(in_preview_shape, "session.update"))
@rule("K-40", broken_by=put("error", "error.param", "session.modalities", nth=3))
def test_a_preview_update_is_flat_and_has_no_type(preview_desk: Desk) -> None:
    (updated,) = preview_desk.update(instructions="x")
    assert updated["type"] == "session.updated" and updated["session"]["instructions"] == "x"
    for key, value in (("type", "realtime"), ("audio", {"input": {}}), ("output_modalities", ["text"])):
        (refusal,) = preview_desk.update(**{key: value, "instructions": "y"})
        assert code_and_param(refusal) == ("unknown_parameter", f"session.{key}")
    assert preview_desk.update(voice="alloy")[-1]["session"]["instructions"] == "x"


@rule("K-41", broken_by=unheard("session.update"))
def test_an_update_with_one_wrong_value_changes_nothing(desk: Desk) -> None:
    desk.update(instructions="new", max_output_tokens=0)
    assert desk.one("error")["error"]["param"] == "session.max_output_tokens"
    assert desk.update()[-1]["session"]["instructions"] == ""


DETECTION = "session.audio.input.turn_detection"
SERVER_VAD = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
    "idle_timeout_ms": None, "create_response": True, "interrupt_response": True,
}  # fmt: skip
SEMANTIC_VAD = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


@rule("K-42", broken_by=told_with("session.update", DETECTION, {"type": "server_vad"}))
@rule("K-42", broken_by=put("session.updated", DETECTION, SERVER_VAD))
def test_without_turn_detection_nobody_notices_speech(desk: Desk) -> None:
    desk.turn_detection(None)
    desk.speak(500)
    desk.pause(1000)
    assert desk.types == ["session.created", "session.updated"]
    assert desk.one("session.updated")["session"]["audio"]["input"]["turn_detection"] is None


@rule("K-43", broken_by=put("session.updated", f"{DETECTION}.threshold", 0.9))
@rule("K-43", broken_by=without("session.updated", f"{DETECTION}.idle_timeout_ms"))
def test_turn_detection_is_filled_with_defaults_and_not_with_what_was(desk: Desk) -> None:
    desk.turn_detection({"type": "server_vad", "threshold": 0.9, "silence_duration_ms": 700})
    updated = desk.turn_detection({"type": "server_vad"})[-1]
    assert updated["session"]["audio"]["input"]["turn_detection"] == SERVER_VAD


@rule("K-44", broken_by=put("session.updated", f"{DETECTION}.eagerness", "medium"))
@rule("K-44", broken_by=without("session.updated", f"{DETECTION}.create_response"))
def test_semantic_detection_is_filled_with_its_own_defaults(desk: Desk) -> None:
    updated = desk.turn_detection({"type": "semantic_vad"})[-1]
    assert updated["session"]["audio"]["input"]["turn_detection"] == SEMANTIC_VAD


TRANSCRIPTION = "session.audio.input.transcription"


@rule("K-46", broken_by=without("session.updated", f"{TRANSCRIPTION}.prompt", nth=1))
@rule("K-47", broken_by=told_with("session.update", TRANSCRIPTION, {"model": "whisper-1"}))
def test_transcription_is_echoed_whole_and_null_ends_it(desk: Desk) -> None:
    shown = desk.update(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
    expected = {"model": "whisper-1", "language": None, "prompt": None}
    assert shown[-1]["session"]["audio"]["input"]["transcription"] == expected
    desk.append(200)
    desk.commit()
    assert len(desk.asked_for(engine.Transcribe)) == 1
    desk.update(audio={"input": {"transcription": None}})
    desk.append(200)
    desk.commit()
    assert len(desk.asked_for(engine.Transcribe)) == 1
    assert desk.last("session.updated")["session"]["audio"]["input"]["transcription"] is None


@rule("K-48", broken_by=put("session.updated", "session.audio.input.noise_reduction", None))
@rule("K-48", broken_by=refuse("session.updated", nth=3))
def test_noise_reduction_is_echoed(desk: Desk) -> None:
    for value in ({"type": "near_field"}, {"type": "far_field"}, None):
        (updated,) = desk.update(audio={"input": {"noise_reduction": value}})
        assert updated["type"] == "session.updated"
        assert updated["session"]["audio"]["input"]["noise_reduction"] == value


MULAW_SILENCE = base64.b64encode(b"\xff" * 8 * 200).decode()


def both_directions(frame: dict[str, Any]) -> list[dict[str, Any]]:
    audio = frame["session"]["audio"]
    return [{**frame, "session": {"type": "realtime", "audio": audio | {"output": audio["input"]}}}]


@rule("K-49", broken_by=told_with("session.update", "session.audio.input.format", PCM))
@rule(
    "K-49", broken_by=told_with("session.update", "session.audio.output", {"format": {"type": "audio/pcmu"}})
)
def test_a_format_of_8_khz_holds_for_its_direction_only(desk: Desk) -> None:
    desk.update(audio={"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}})
    desk.send({"type": "input_audio_buffer.append", "audio": MULAW_SILENCE})
    desk.commit()
    committed = desk.asked_for(engine.Commit)
    assert [command.end_ms - command.start_ms for command in committed] == [200]
    heard = b"".join(command.pcm for command in desk.asked_for(engine.Hear))
    assert 190 * 48 <= len(heard) <= 200 * 48 and not any(heard)
    desk.respond()
    desk.answer("Hi.", audio_ms=100)
    assert len(base64.b64decode(desk.one("response.output_audio.delta")["delta"])) == 100 * 48


@rule("K-50", broken_by=told_with("session.update", "session.output_modalities", ["audio"]))
def test_a_session_of_text_gets_no_audio(desk: Desk) -> None:
    desk.update(output_modalities=["text"])
    desk.respond()
    desk.answer("Hi.", audio_ms=100)
    assert desk.last("response.done")["response"]["output_modalities"] == ["text"]
    assert not [kind for kind in desk.types if "audio" in kind]
    assert desk.one("response.content_part.added")["part"] == {"type": "text", "text": ""}


@rule("K-51", broken_by=told_with("session.update", "session.output_modalities", ["audio"]))
def test_speech_and_text_are_chosen_one_at_a_time(desk: Desk) -> None:
    (refusal,) = desk.update(output_modalities=["audio", "text"])
    assert code_and_param(refusal) == ("invalid_value", "session.output_modalities")


PARAMETERS = {"type": "object", "properties": {"place": {"type": "string", "x-hint": [1, None, {"a": 0.5}]}}}


@rule("K-54", broken_by=without("session.updated", "session.tools.0.description"))
@rule("K-54", broken_by=put("session.updated", "session.tools.0.parameters.properties", {}))
def test_tools_are_echoed_untouched(desk: Desk) -> None:
    tool = {"type": "function", "name": "weather", "parameters": PARAMETERS}
    (updated,) = desk.update(tools=[tool])
    assert updated["session"]["tools"] == [tool | {"description": None}]


def keeping_what_was(frame: dict[str, Any]) -> list[dict[str, Any]]:
    named = {key: value for key, value in frame["session"].items() if value not in ([], "")}
    return [{**frame, "session": named}]


@rule("K-55", broken_by=told(keeping_what_was, "session.update"))
def test_empty_values_clear_what_was(desk: Desk) -> None:
    desk.update(tools=[{"type": "function", "name": "f"}], instructions="Be brief.")
    (updated,) = desk.update(tools=[], instructions="")
    assert updated["session"]["tools"] == [] and updated["session"]["instructions"] == ""
    desk.respond()
    asked = desk.asked_for(engine.Generate)[-1]
    assert asked.tools == () and asked.instructions == ""


@rule("K-56", broken_by=put("session.updated", "session.tool_choice", "auto"))
@rule("K-56", broken_by=put("error", "error.param", "session.tool_choice"))
def test_a_forced_function_is_named(desk: Desk) -> None:
    forced = {"type": "function", "name": "f"}
    assert desk.update(tool_choice=forced)[-1]["session"]["tool_choice"] == forced
    (refusal,) = desk.update(tool_choice={"type": "function"})
    assert code_and_param(refusal) == ("missing_required_parameter", "session.tool_choice.name")


def nearest_limit(given: Any) -> Any:
    return min(max(given, 1), 4096) if isinstance(given, int) else "inf"


@rule("K-57", broken_by=refuse("session.updated", nth=2))
@rule("K-57", broken_by=told_with("session.update", "session.max_output_tokens", nearest_limit))
def test_a_limit_of_tokens_lies_between_1_and_4096(desk: Desk) -> None:
    for limit in (1, 4096, "inf"):
        (updated,) = desk.update(max_output_tokens=limit)
        assert updated["type"] == "session.updated"
        assert updated["session"]["max_output_tokens"] == limit
    for limit in (0, 5000, -1, "many"):
        (refusal,) = desk.update(max_output_tokens=limit)
        assert code_and_param(refusal)[1] == "session.max_output_tokens"
    assert desk.update(instructions="x", max_output_tokens="inf")[-1]["session"]["max_output_tokens"] == "inf"


SPEED = "session.audio.output.speed"


@rule("K-58", broken_by=told_with("session.update", SPEED, lambda given: min(max(given, 0.25), 1.5)))
@rule("K-58", broken_by=refuse("session.updated", nth=3))
def test_speech_is_a_quarter_to_one_and_a_half_times_as_fast(desk: Desk) -> None:
    for speed in (0.25, 1.5, 1, 1.0):
        (updated,) = desk.update(audio={"output": {"speed": speed}})
        assert updated["type"] == "session.updated"
        assert updated["session"]["audio"]["output"]["speed"] == speed
    for speed in (0.24, 1.51, 0, -1, 100):
        (refusal,) = desk.update(audio={"output": {"speed": speed}})
        assert code_and_param(refusal) == ("invalid_value", SPEED)


@rule("K-59", broken_by=refuse("session.updated", nth=1))
@rule("K-59", broken_by=put("session.updated", "session.tracing", "auto"))
def test_tracing_is_accepted_and_echoed(desk: Desk) -> None:
    named = {"workflow_name": "calls", "group_id": "g", "metadata": {"caller": "7"}}
    for tracing in ("auto", named, None):
        (updated,) = desk.update(tracing=tracing)
        assert updated["type"] == "session.updated" and updated["session"]["tracing"] == tracing


@rule("K-60", broken_by=refuse("session.updated"))
def test_the_connected_model_may_be_named_again(desk: Desk) -> None:
    (updated,) = desk.update(model="gpt-realtime", instructions="x")
    assert updated["type"] == "session.updated"
    assert updated["session"]["model"] == "gpt-realtime" and updated["session"]["instructions"] == "x"


@rule("K-61", broken_by=without("session.updated", "session.reasoning"))
@rule("K-61", broken_by=put("session.updated", "session.truncation", "auto"))
def test_settings_for_other_models_are_accepted_and_echoed(desk: Desk) -> None:
    given = {
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": None},
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Kyoto"}},
        "include": ["item.input_audio_transcription.logprobs"],
    }
    (updated,) = desk.update(**given)
    assert updated["type"] == "session.updated"
    assert {key: updated["session"].get(key) for key in given} == given


VOICE = "session.audio.output.voice"


@rule("K-62", broken_by=refuse("session.updated", nth=1))
@rule("K-62", broken_by=told_with("session.update", VOICE, "cedar"))
def test_the_voice_stays_once_it_was_heard(desk: Desk) -> None:
    (updated,) = desk.update(audio={"output": {"voice": "cedar"}})
    assert updated["type"] == "session.updated" and updated["session"]["audio"]["output"]["voice"] == "cedar"
    desk.respond()
    desk.answer("Hi.", audio_ms=200)
    (refusal,) = desk.update(audio={"output": {"voice": "marin"}})
    assert code_and_param(refusal) == ("cannot_update_voice", VOICE)
    assert (
        desk.update(audio={"output": {"voice": "cedar"}})[-1]["session"]["audio"]["output"]["voice"]
        == "cedar"
    )


@rule("K-63", broken_by=put("response.done", "response.output_modalities", ["text"], nth=1))
@rule("K-63", broken_by=unheard("session.update"))
def test_an_update_leaves_the_running_response_alone(desk: Desk) -> None:
    desk.respond()
    desk.update(output_modalities=["text"], max_output_tokens=100)
    desk.answer("Hi.", audio_ms=100)
    desk.respond()
    desk.answer("Again.")
    first, second = (frame["response"] for frame in desk.of("response.done"))
    assert (first["output_modalities"], first["max_output_tokens"]) == (["audio"], "inf")
    assert first["output"][0]["content"][0]["type"] == "output_audio"
    assert (second["output_modalities"], second["max_output_tokens"]) == (["text"], 100)


@rule("K-65", broken_by=told(keeping_what_was, "session.update"))
@rule("K-65", broken_by=put("error", "error.param", "mood"))
def test_an_unknown_setting_is_named(desk: Desk) -> None:
    (refusal,) = desk.update(mood="")
    assert code_and_param(refusal) == ("unknown_parameter", "session.mood")
