"""The simulated caller against a scripted server: times, truncation, tools, the recording."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from kaiwa.testing.call import speech_span
from kaiwa.testing.caller import CallerManners, SimulatedCaller, SpokenLine
from kaiwa.testing.loudspeaker import Loudspeaker

from .scripted_server import CallTool, Speak, scripted_server

# Four seconds of a call in one: a busy machine is late by four times as much, so no test asks for less than it must.
FAST = CallerManners(pace=4.0, reply_timeout_s=60.0)
HASTY = CallerManners(pace=4.0, reply_timeout_s=3.0)


def tone(ms: int) -> bytes:
    return (np.sin(np.arange(ms * 24) / 10) * 8000).astype("<i2").tobytes()


def line(name: str, ms: int = 400, interrupt_after_ms: int | None = None) -> SpokenLine:
    quiet = bytes(150 * 48)
    return SpokenLine(name, name, quiet + tone(ms) + quiet, interrupt_after_ms)


async def test_a_turn_is_timed_from_the_last_sample_of_speech() -> None:
    async with scripted_server([[Speak("はい", 300)]]) as server:
        call = await SimulatedCaller(server.url, [line("one")], manners=FAST).run()

    (turn,) = call.turns
    assert turn.transcript == "turn 0" and turn.reply == "はい"
    assert turn.speech_end_s - turn.speech_start_s == pytest.approx(0.4, abs=0.01)
    assert turn.stopped_s is not None and turn.stopped_s > turn.speech_end_s
    after_ms = (turn.stopped_s - turn.speech_end_s) * 1000
    assert turn.waterfall()["speech_stopped_ms"] == pytest.approx(after_ms, abs=1)
    steps = [turn.stopped_s, turn.committed_s, turn.response_created_s, turn.first_text_s, turn.first_audio_s]
    assert steps == sorted(step for step in steps if step is not None)
    assert turn.playout_end_s is not None and turn.playout_start_s is not None
    assert turn.playout_end_s - turn.playout_start_s == pytest.approx(0.3, abs=0.01)


async def test_the_next_line_waits_until_the_agent_was_heard_to_the_end() -> None:
    async with scripted_server([[Speak("a", 700)], [Speak("b", 100)]]) as server:
        call = await SimulatedCaller(server.url, [line("one"), line("two")], manners=FAST).run()

    first, second = call.turns
    assert first.playout_end_s is not None and not first.interrupted
    assert second.speech_start_s > first.playout_end_s + FAST.pause_ms / 1000


async def test_speaking_into_the_agents_sentence_stops_the_sound_and_tells_what_was_heard() -> None:
    lines = [line("one"), line("two", interrupt_after_ms=500)]
    async with scripted_server([[Speak("long", 5000, hold=True)], [Speak("b", 100)]]) as server:
        call = await SimulatedCaller(server.url, lines, manners=FAST).run()

    (truncation,) = [event for event in server.received if event["type"] == "conversation.item.truncate"]
    assert call.turns[0].interrupted
    assert 500 <= truncation["audio_end_ms"] < 5000
    heard = sum(len(pcm) for _, pcm in call.agent_sound) // 48 - 100
    assert heard == pytest.approx(truncation["audio_end_ms"], abs=1)
    assert call.turns[1].reply == "b"


async def test_a_call_that_the_server_settles_is_recorded_and_the_answer_after_it_awaited() -> None:
    steps = [CallTool("get_availability", {"locationId": "loc1"}, {"free": 2}), Speak("二台です", 200)]
    async with scripted_server([steps]) as server:
        call = await SimulatedCaller(server.url, [line("one")], manners=FAST).run()

    (tool,) = call.tools
    assert (tool.line_id, tool.name, tool.output) == ("one", "get_availability", '{"free": 2}')
    assert call.turns[0].reply == "二台です" and call.turns[0].problem is None


async def test_an_agent_that_never_answers_ends_the_call_with_a_named_problem() -> None:
    async with scripted_server([[]]) as server:
        call = await SimulatedCaller(server.url, [line("one"), line("two")], manners=HASTY).run()

    assert [turn.line_id for turn in call.turns] == ["one"]
    assert call.turns[0].problem


async def test_the_recording_has_the_caller_on_the_left_and_the_agent_on_the_right(tmp_path: Path) -> None:
    async with scripted_server([[Speak("はい", 300)]]) as server:
        call = await SimulatedCaller(server.url, [line("one")], manners=FAST).run()
    call.write_wav(tmp_path / "call.wav")

    with wave.open(str(tmp_path / "call.wav")) as reader:
        assert (reader.getnchannels(), reader.getframerate()) == (2, 24_000)
        both = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").reshape(-1, 2)
    turn = call.turns[0]
    assert turn.playout_start_s is not None
    first_left, _ = speech_span(both[:, 0].tobytes())
    first_right, last_right = speech_span(both[:, 1].tobytes())
    assert first_left / 24_000 == pytest.approx(turn.speech_start_s, abs=0.002)
    assert first_right / 24_000 == pytest.approx(turn.playout_start_s, abs=0.002)
    assert (last_right - first_right) / 24_000 == pytest.approx(0.3, abs=0.01)


def test_a_loudspeaker_counts_what_was_heard_of_each_item_and_the_gaps_between() -> None:
    speaker = Loudspeaker()
    speaker.push("a", bytes(4800), 1.0)
    assert speaker.push("a", bytes(4800), 1.15) == 1.15
    speaker.push("b", bytes(4800), 1.2)

    cut = speaker.stop(1.2)

    assert [(heard.item_id, heard.heard_ms) for heard in cut] == [("a", 150), ("b", 0)]
    assert speaker.gap_ms == pytest.approx(50)
    assert not speaker.playing(1.2)
