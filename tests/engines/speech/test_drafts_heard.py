"""Drafts of real recordings by the real recogniser: told early, told for good, and close to the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from difflib import SequenceMatcher

import pytest

from kaiwa.engines.cascade import CascadeEngine, Shared
from kaiwa.engines.lanes import Lanes
from kaiwa.engines.speech.models import SpeechModels
from kaiwa.events import engine
from kaiwa.testing.speech import ScriptedChatModel

WANTED = engine.Transcribe(item_id="item_1", model="gpt-realtime-whisper")
STEP_MS = 400


@pytest.mark.parametrize(
    ("name", "told_early"),
    [
        ("en_1_tardigrades.wav", "Tell me a story"),
        pytest.param("ja_custom_speech.wav", "カスタム", marks=pytest.mark.clients),
    ],
)
async def test_a_person_s_words_are_told_while_they_are_spoken(
    models: SpeechModels, recording: Callable[[str], bytes], name: str, told_early: str
) -> None:
    pcm = recording(name)
    length_ms = len(pcm) // 48
    lanes = Lanes()
    made = CascadeEngine(Shared(speech=models, chat=ScriptedChatModel(), lanes=lanes))
    early: list[str] = []
    try:
        made.ask(engine.Follow(start_ms=0, transcribe=WANTED))
        for at in range(0, length_ms, STEP_MS):
            made.ask(engine.Hear(pcm=pcm[at * 48 : (at + STEP_MS) * 48]))
            while running := list(made._tasks):
                await asyncio.wait(running, timeout=30)
        while not made._events.empty():
            early.append(made._events.get_nowait().text)  # type: ignore[union-attr]
        made.ask(engine.Commit(item_id="item_1", start_ms=0, end_ms=length_ms))
        made.ask(WANTED)
        late: list[str] = []
        async with asyncio.timeout(60):
            async for event in made.events():
                if isinstance(event, engine.TranscriptDone):
                    break
                assert isinstance(event, engine.TranscriptDelta)
                late.append(event.text)
    finally:
        await made.close()
        lanes.close()
    assert len(early) >= 2 and "".join(early).startswith(told_early)
    assert "".join(early + late) == event.text
    plain = models.recognizer.transcribe(pcm).text
    assert SequenceMatcher(None, event.text, plain, autojunk=False).ratio() > 0.85
