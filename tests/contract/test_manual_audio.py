"""C6: audio that the client commits itself, with turn detection off."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.contract.breakages import Breakage, complain, drop, put, refuse, repeat, told, told_with, unheard
from tests.contract.desk import Desk, silence
from tests.contract.manifest import rule
from tests.contract.properties import any_input

from kaiwa.events import engine
from kaiwa.events.items import InputAudio

APPEND, COMMIT = "input_audio_buffer.append", "input_audio_buffer.commit"
COMMITTED, CLEARED = "input_audio_buffer.committed", "input_audio_buffer.cleared"
ADDED, DONE = "conversation.item.added", "conversation.item.done"
CREATED, RESPONSE_DONE = "response.created", "response.done"
EMPTY = "input_audio_buffer_commit_empty"


@pytest.fixture
def desk(planted: Breakage | None) -> Desk:
    """A session without turn detection."""
    desk = Desk(planted)
    desk.turn_detection(None)
    desk.frames.clear()
    return desk


def clear(desk: Desk) -> list[dict[str, Any]]:
    return desk.send({"type": "input_audio_buffer.clear"})


def append(desk: Desk, audio: bytes) -> list[dict[str, Any]]:
    return desk.send({"type": APPEND, "audio": base64.b64encode(audio).decode()})


def error(frames: list[dict[str, Any]]) -> dict[str, Any]:
    assert [frame["type"] for frame in frames] == ["error"]
    return frames[0]["error"]


def committed_ms(desk: Desk) -> list[int]:
    return [command.end_ms - command.start_ms for command in desk.asked_for(engine.Commit)]


@rule("K-125", broken_by=told(lambda frame: [frame, {"type": COMMIT}], APPEND))
@rule("K-125", broken_by=told_with(APPEND, "audio", "?"))
def test_audio_is_taken_in_silence(desk: Desk) -> None:
    for ms in (20, 100, 4000):
        assert desk.append(ms) == []


@rule("K-126", broken_by=told_with(APPEND, "audio", silence(100)))
@rule("K-126", broken_by=put("error", "error.param", None))
@pytest.mark.parametrize("audio", ["?", "AAA", "AA AA", "AAAAA==="])
def test_audio_that_is_not_base64_is_named(desk: Desk, audio: str) -> None:
    refusal = error(desk.send({"type": APPEND, "audio": audio}))
    assert (refusal["code"], refusal["param"]) == ("invalid_value", "audio")
    assert error(desk.commit())["code"] == EMPTY


def torn(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Pass on half a sample, and all that follows with it, as a server does that ignores odd lengths."""
    audio = base64.b64decode(frame["audio"])
    return [{**frame, "audio": base64.b64encode(audio[: len(audio) - len(audio) % 2]).decode()}]


@rule("K-127", broken_by=told(torn, APPEND))
@given(sizes=st.lists(st.integers(1, 4800), min_size=1, max_size=8))
@example(sizes=[3, 4])
@any_input
def test_half_a_sample_does_not_shift_what_follows(planted: Breakage | None, sizes: list[int]) -> None:
    desk = Desk(planted)
    desk.turn_detection(None)
    taken = b""
    for size in sizes:
        audio = bytes([1, 2] * size)[:size]
        frames = append(desk, audio)
        if size % 2:
            assert error(frames)["param"] == "audio"
        else:
            assert frames == []
            taken += audio
    assert b"".join(command.pcm for command in desk.asked_for(engine.Hear)) == taken


@rule("K-128", broken_by=drop(DONE))
@rule("K-128", broken_by=put(ADDED, "item.content.0.transcript", ""))
@rule("K-128", broken_by=told(lambda frame: [frame, {"type": "response.create"}], COMMIT))
@rule("K-132", broken_by=put(COMMITTED, "item_id", "item_another"))
@rule("K-132", broken_by=put(COMMITTED, "previous_item_id", None))
def test_a_commit_makes_an_item_and_no_response(desk: Desk) -> None:
    desk.say("Listen.", id="before")
    desk.append(100)
    frames = desk.commit()
    assert [frame["type"] for frame in frames] == [COMMITTED, ADDED, DONE]
    committed, added, done = frames
    content = [{"type": "input_audio", "transcript": None}]
    for shown in (added, done):
        assert (shown["item"]["role"], shown["item"]["status"]) == ("user", "completed")
        assert shown["item"]["content"] == content
        assert shown["item"]["id"] == committed["item_id"]
        assert shown["previous_item_id"] == committed["previous_item_id"] == "before"
    desk.wait(30)
    assert committed_ms(desk) == [100] and not desk.of(CREATED)


@rule("K-129", broken_by=put("error", "error.code", "invalid_value"))
@rule("K-129", broken_by=put("error", "error.message", "Nothing to commit."))
@rule("K-129", broken_by=told(lambda frame: [{"type": APPEND, "audio": silence(100)}, frame], COMMIT))
def test_an_empty_buffer_cannot_be_committed(desk: Desk) -> None:
    refusal = error(desk.commit())
    assert refusal["code"] == EMPTY and "buffer" in refusal["message"] and "0.00ms" in refusal["message"]
    assert not desk.asked_for(engine.Commit)


@rule("K-130", broken_by=put("error", "error.message", lambda text: text.replace(".75ms", "ms")))
@rule("K-130", broken_by=told(lambda frame: [{"type": APPEND, "audio": silence(100)}, frame], COMMIT))
def test_a_commit_needs_a_tenth_of_a_second(desk: Desk) -> None:
    append(desk, bytes(2 * (24 * 99 + 18)))
    refusal = error(desk.commit())
    assert refusal["code"] == EMPTY
    assert "at least 100ms" in refusal["message"] and "only has 99.75ms" in refusal["message"]
    append(desk, bytes(2 * 6))
    assert desk.commit()[0]["type"] == COMMITTED


@rule("K-131", broken_by=unheard("input_audio_buffer.clear"))
@rule("K-131", broken_by=drop(CLEARED))
def test_a_cleared_buffer_is_empty(desk: Desk) -> None:
    desk.append(500)
    frames = clear(desk)
    assert error(desk.commit())["code"] == EMPTY
    assert [frame["type"] for frame in frames] == [CLEARED]
    desk.append(200)
    desk.commit()
    assert committed_ms(desk) == [200]


def told_first(frame: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "response.create", "response": {"input": []}}]


@rule("K-133", broken_by=told(told_first, "response.create"))
@rule("K-133", broken_by=refuse(CREATED))
def test_a_response_answers_what_was_committed(desk: Desk) -> None:
    desk.append(700)
    desk.commit()
    frames = desk.respond()
    item_id = desk.one(COMMITTED)["item_id"]
    assert [frame["type"] for frame in frames] == [CREATED]
    (command,) = desk.asked_for(engine.Generate)
    assert [(item.id, item.content) for item in command.history] == [
        (item_id, (InputAudio(transcript=None),))
    ]
    assert [one.item_id for one in desk.asked_for(engine.Commit)] == [item_id]
    desk.answer("Good morning.", audio_ms=300)
    assert desk.one(RESPONSE_DONE)["response"]["status"] == "completed"


@rule("K-137", broken_by=complain(COMMITTED))
@rule("K-137", broken_by=complain(CLEARED))
@rule("K-137", broken_by=refuse(CREATED, nth=2))
@rule("K-137", broken_by=repeat(RESPONSE_DONE))
def test_the_buffer_may_be_used_while_a_response_runs(desk: Desk) -> None:
    desk.respond()
    desk.words("One moment.", audio_ms=200)
    first = desk.generating
    assert desk.append(300) == []
    assert [frame["type"] for frame in desk.commit()] == [COMMITTED, ADDED, DONE]
    desk.append(300)
    assert [frame["type"] for frame in clear(desk)] == [CLEARED]
    desk.respond(conversation="none", output_modalities=["text"])
    desk.answer("Meanwhile.")
    desk.engine_says(engine.GenerationEnded(response_id=first))
    desk.append(300)
    desk.commit()
    desk.respond()
    desk.answer("Yes?", audio_ms=200)
    assert not desk.of("error")
    assert [frame["response"]["status"] for frame in desk.of(RESPONSE_DONE)] == ["completed"] * 3
