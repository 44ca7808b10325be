"""C18: sessions that only write down what they hear."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.contract.breakages import asked, delay, drop, insert, put, said, told_with
from tests.contract.desk import Desk
from tests.contract.house import API_KEY, Caller, House
from tests.contract.manifest import rule

from kaiwa.events import engine
from kaiwa.events.usage import DurationUsage
from kaiwa.protocol.realtime.dialects import Dialect

GA_PATHS = ("/v1/realtime?intent=transcription", "/openai/v1/realtime?intent=transcription")
PREVIEW_PATH = "/openai/realtime?api-version=2025-04-01-preview&deployment=dep&intent=transcription"
LOUD = (b"\x00\x30" * 12 + b"\x00\xd0" * 12) * 1000
TOLD = "conversation.item.input_audio_transcription"
DELTA, COMPLETED = f"{TOLD}.delta", f"{TOLD}.completed"
STREAMING = ("gpt-realtime-whisper", "gpt-live-transcribe")
RESPONSE = {"type": "response.created", "event_id": "event_x", "response": {}}


def sound(pcm: bytes) -> dict[str, Any]:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}


async def update(caller: Caller, kind: str = "transcription", **heard: Any) -> dict[str, Any]:
    await caller.send({"type": "session.update", "session": {"type": kind, "audio": {"input": heard}}})
    return await caller.hear()


@rule("K-288", broken_by=put("session.created", "session.type", "realtime"))
@rule("K-288", broken_by=put("session.created", "session.object", "realtime.session"))
@pytest.mark.parametrize("path", GA_PATHS)
async def test_the_intent_opens_a_transcription_session(house: House, path: str) -> None:
    created = await house.first(path, API_KEY)
    assert created["type"] == "session.created"
    session = created["session"]
    assert (session["type"], session["object"]) == ("transcription", "realtime.transcription_session")
    assert set(session) == {"type", "object", "id", "expires_at", "audio", "include"}
    assert set(session["audio"]) == {"input"}
    assert set(session["audio"]["input"]["turn_detection"]) == {
        "type", "threshold", "prefix_padding_ms", "silence_duration_ms",
    }  # fmt: skip


@rule("K-289", broken_by=put("session.updated", "session.audio.input.transcription.model", "whisper-1"))
@rule("K-289", broken_by=put("error", "error.code", "invalid_value"))
@rule("K-289", broken_by=told_with("session.update", "session.type", "transcription"))
async def test_it_is_configured_as_what_it_is(house: House) -> None:
    async with house.call(GA_PATHS[0]) as caller:
        await caller.hear()
        updated = await update(caller, transcription={"model": "gpt-4o-transcribe", "language": "en"})
        assert updated["type"] == "session.updated"
        heard = updated["session"]["audio"]["input"]["transcription"]
        assert (heard["model"], heard["language"]) == ("gpt-4o-transcribe", "en")
        refused = await update(caller, "realtime", turn_detection=None)
        assert refused["type"] == "error" and refused["error"]["code"] == "invalid_parameter"


@rule("K-290", broken_by=said(lambda error: [RESPONSE], "error"))
async def test_it_creates_no_response(house: House) -> None:
    async with house.call(GA_PATHS[0]) as caller:
        await caller.hear()
        await caller.send({"type": "response.create"}, event_id="mine")
        assert (await caller.error())["event_id"] == "mine"


@rule("K-291", broken_by=drop("conversation.item.input_audio_transcription.completed"))
@rule("K-291", broken_by=drop("input_audio_buffer.committed"))
@rule("K-291", broken_by=insert("conversation.item.input_audio_transcription.completed", RESPONSE))
@pytest.mark.parametrize("by_hand", [True, False])
async def test_what_was_said_is_written_down_and_never_answered(house: House, by_hand: bool) -> None:
    async with house.call(GA_PATHS[0]) as caller:
        await caller.hear()
        await update(
            caller,
            transcription={"model": "gpt-4o-transcribe"},
            turn_detection=None if by_hand else {"type": "server_vad"},
        )
        await caller.send(sound(LOUD))
        await caller.send({"type": "input_audio_buffer.commit"} if by_hand else sound(bytes(48_000)))
        await caller.until("input_audio_buffer.committed")
        await caller.until("conversation.item.done")
        written = await caller.until("conversation.item.input_audio_transcription.completed")
        assert "spoke for" in written["transcript"]
        await caller.send({"type": "input_audio_buffer.clear"})
        await caller.until("input_audio_buffer.cleared")
        pieces = [frame for frame in caller.frames if frame["type"].endswith("transcription.delta")]
        assert "".join(piece["delta"] for piece in pieces) == written["transcript"]
        assert not [name for name in caller.types if name.startswith("response.")]


def write_down(desk: Desk, model: str, *, by_hand: bool) -> None:
    detection = None if by_hand else {"type": "server_vad"}
    desk.update(audio={"input": {"transcription": {"model": model}, "turn_detection": detection}})


@rule("K-292", broken_by=delay(DELTA, "input_audio_buffer.committed"))
@rule("K-292", broken_by=put(DELTA, "item_id", "item_of_its_own"))
@rule("K-292", broken_by=put(DELTA, "delta", "…", nth=2))
@rule("K-292", broken_by=asked(lambda command: [], engine.Follow))
@pytest.mark.parametrize("model", STREAMING)
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_streaming_model_tells_words_while_they_are_spoken(desk: Desk, model: str, by_hand: bool) -> None:
    write_down(desk, model, by_hand=by_hand)
    for _ in range(2):
        mark = len(desk.frames)
        desk.append(1600) if by_hand else desk.speak(1600)
        assert desk.asked_for(engine.Follow)
        followed = desk.asked_for(engine.Follow)[-1].transcribe.item_id
        desk.engine_says(engine.TranscriptDelta(item_id=followed, text="I would"))
        desk.engine_says(engine.TranscriptDelta(item_id=followed, text=" like a car"))
        early = [frame for frame in desk.frames[mark:] if frame["type"] == DELTA]
        assert [frame["delta"] for frame in early] == ["I would", " like a car"]
        desk.commit() if by_hand else desk.pause(800)
        committed = desk.last("input_audio_buffer.committed")
        assert {frame["item_id"] for frame in early} == {committed["item_id"]}
        desk.transcribe("I would like a car.", ".")
        pieces = [frame["delta"] for frame in desk.frames[mark:] if frame["type"] == DELTA]
        completed = desk.last(COMPLETED)
        assert "".join(pieces) == completed["transcript"] == "I would like a car."
        assert completed["item_id"] == committed["item_id"]


@pytest.mark.parametrize("by_hand", [True, False])
def test_other_models_tell_nothing_before_the_commit(desk: Desk, by_hand: bool) -> None:
    for model in ("whisper-1", "gpt-4o-transcribe"):
        write_down(desk, model, by_hand=by_hand)
        desk.append(1600) if by_hand else desk.speak(1600)
        desk.commit()
    assert not desk.asked_for(engine.Follow)


def test_words_of_audio_that_is_cleared_are_told_no_more(desk: Desk) -> None:
    write_down(desk, STREAMING[0], by_hand=True)
    desk.append(1600)
    gone = desk.asked_for(engine.Follow)[-1].transcribe.item_id
    desk.send({"type": "input_audio_buffer.clear"})
    assert desk.asked_for(engine.Unfollow) == [engine.Unfollow(item_id=gone)]
    assert not desk.engine_says(engine.TranscriptDelta(item_id=gone, text="never mind"))
    desk.append(400)
    begun = desk.asked_for(engine.Follow)[-1]
    assert begun.start_ms == 1600 and begun.transcribe.item_id != gone


@pytest.mark.parametrize("by_hand", [True, False])
def test_no_item_takes_the_id_of_what_is_spoken(desk: Desk, by_hand: bool) -> None:
    write_down(desk, STREAMING[0], by_hand=by_hand)
    desk.append(1600) if by_hand else desk.speak(1600)
    spoken = desk.asked_for(engine.Follow)[-1].transcribe.item_id
    (refused,) = desk.say("It is mine.", id=spoken)
    assert "already exists" in refused["error"]["message"]
    desk.commit()
    assert [frame["item"]["id"] for frame in desk.of("conversation.item.added")] == [spoken]


def test_who_ends_turns_may_change_while_somebody_speaks(desk: Desk) -> None:
    write_down(desk, STREAMING[0], by_hand=False)
    desk.speak(800)
    spoken = desk.one("input_audio_buffer.speech_started")["item_id"]
    desk.turn_detection(None)
    desk.append(800)
    desk.commit()
    assert desk.one("input_audio_buffer.committed")["item_id"] == spoken
    assert [command.transcribe.item_id for command in desk.asked_for(engine.Follow)] == [spoken]
    desk.append(800)
    desk.turn_detection({"type": "server_vad"})
    assert desk.asked_for(engine.Unfollow)
    usage = DurationUsage(seconds=1)
    desk.engine_says(engine.TranscriptDone(item_id=spoken, text="Hello.", usage=usage))
    assert desk.one(COMPLETED)["item_id"] == spoken


@rule("K-293", broken_by=put("transcription_session.updated", "type", "session.updated"))
@rule(
    "K-293",
    broken_by=put("transcription_session.updated", "session.input_audio_transcription.language", "en"),
)
@rule("K-293", broken_by=put("transcription_session.created", "session.object", "realtime.session"))
@pytest.mark.parametrize(
    ("path", "dialect", "headers"),
    [
        (PREVIEW_PATH, "preview", {}),
        (GA_PATHS[0], "preview", {"OpenAI-Beta": "realtime=v1"}),
    ],
)
async def test_the_preview_has_events_of_its_own_for_it(
    house: House, path: str, dialect: Dialect, headers: dict[str, str]
) -> None:
    async with house.call(path, API_KEY | headers, dialect=dialect) as caller:
        created = await caller.until("transcription_session.created")
        assert created["session"]["object"] == "realtime.transcription_session"
        heard = {"model": "gpt-4o-transcribe", "language": "ja"}
        session = {"input_audio_transcription": heard, "input_audio_format": "pcm16"}
        await caller.send({"type": "transcription_session.update", "session": session})
        updated = await caller.until("transcription_session.updated")
        assert updated["session"]["input_audio_transcription"]["language"] == "ja"
