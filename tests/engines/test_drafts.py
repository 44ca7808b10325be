"""The user's words before the turn is over: what is told, when, and what it must never cost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from kaiwa.engines.cascade import CascadeEngine, Shared
from kaiwa.engines.lanes import Lanes
from kaiwa.engines.speech.recognition import Recognition
from kaiwa.errors import UpstreamError
from kaiwa.events import engine
from kaiwa.testing.speech import ScriptedChatModel, scripted_speech

ITEM = "item_1"
BYTES_PER_S = 48_000
WANTED = engine.Transcribe(item_id=ITEM, model="gpt-realtime-whisper", language="en")
FOLLOW = engine.Follow(start_ms=0, transcribe=WANTED)


class GrowingRecognizer:
    """Hears one word for every second; the newest is always misheard, and `final` may differ."""

    def __init__(self, words: str, final: str | None = None) -> None:
        self.words = words.split()
        self.final = final
        self.asked: list[tuple[str, float]] = []
        self.languages: list[str | None] = []
        self.broken = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def transcribe(
        self, pcm: bytes, *, effort: str = "final", language: str | None = None, **_: Any
    ) -> Recognition:
        seconds = len(pcm) / BYTES_PER_S
        self.languages.append(language)
        self.asked.append((effort, seconds))
        assert self.may_go_on.wait(5)
        if self.broken:
            raise UpstreamError("model_broken", "The model is broken.")
        heard = self.words[: int(seconds)]
        text = " ".join(heard) if effort == "final" else " ".join([*heard, f"mumble{len(self.asked)}"])
        text = self.final if effort == "final" and self.final is not None else text
        return Recognition(text, "en", 0.0, 0.0, seconds)

    @property
    def drafts(self) -> list[float]:
        return [seconds for effort, seconds in self.asked if effort == "draft"]


class Desk:
    def __init__(self, made: CascadeEngine) -> None:
        self.engine = made
        self.told: list[engine.TranscriptDelta] = []

    async def hear(self, seconds: float, step_s: float = 0.2) -> None:
        """Let somebody speak, each bit once everything about the last is done."""
        for _ in range(round(seconds / step_s)):
            self.engine.ask(engine.Hear(pcm=bytes(int(step_s * 1000) * 48)))
            await self.rest()

    async def rest(self) -> None:
        async with asyncio.timeout(20):
            while running := list(self.engine._tasks):
                await asyncio.wait(running)
        self.told += [event for event in self.events() if isinstance(event, engine.TranscriptDelta)]

    def events(self) -> Iterator[Any]:
        while not self.engine._events.empty():
            yield self.engine._events.get_nowait()

    async def commit(self, end_ms: int, wanted: engine.Transcribe = WANTED) -> engine.TranscriptDone:
        self.engine.ask(engine.Commit(item_id=wanted.item_id, start_ms=0, end_ms=end_ms))
        self.engine.ask(wanted)
        async with asyncio.timeout(20):
            async for event in self.engine.events():
                if isinstance(event, engine.TranscriptDone):
                    return event
                assert isinstance(event, engine.TranscriptDelta), event
                self.told.append(event)
        raise AssertionError("the engine ended")

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.told)


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes()
    yield made
    made.close()


@pytest.fixture
def opened(lanes: Lanes) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_desk(recognizer: GrowingRecognizer) -> AsyncIterator[Desk]:
        speech = scripted_speech(recognizer)  # type: ignore[arg-type]
        made = CascadeEngine(Shared(speech=speech, chat=ScriptedChatModel(), lanes=lanes))
        try:
            yield Desk(made)
        finally:
            recognizer.may_go_on.set()
            await made.close()

    return open_desk


async def test_words_that_two_drafts_agree_on_are_told_before_the_turn_is_over(opened: Any) -> None:
    recognizer = GrowingRecognizer("I want to go home now")
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        await desk.hear(4)
        assert desk.text == "I want to"
        assert {delta.item_id for delta in desk.told} == {ITEM}
        done = await desk.commit(4000)
        assert done.text == desk.text == "I want to go"


async def test_what_was_told_is_never_taken_back(opened: Any) -> None:
    recognizer = GrowingRecognizer("I want to go home now", final="I wanted to go home.")
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        await desk.hear(4)
        done = await desk.commit(4000)
        assert done.text == desk.text == "I want to go home."


async def test_what_was_begun_in_one_language_is_not_ended_in_another(opened: Any) -> None:
    recognizer = GrowingRecognizer("I want to go home now")
    wanted = engine.Transcribe(item_id=ITEM, model="gpt-realtime-whisper")
    async with opened(recognizer) as desk:
        desk.engine.ask(engine.Follow(start_ms=0, transcribe=wanted))
        await desk.hear(4)
        await desk.commit(4000, wanted)
        assert recognizer.languages[:2] == [None, None]
        assert set(recognizer.languages[3:]) == {"en"}


async def test_nobody_asked_nobody_is_told(opened: Any) -> None:
    recognizer = GrowingRecognizer("I want to go home now")
    async with opened(recognizer) as desk:
        await desk.hear(4)
        done = await desk.commit(4000)
        assert not recognizer.drafts and not desk.told
        assert done.text == "I want to go"


async def test_drafts_keep_their_distance(opened: Any) -> None:
    recognizer = GrowingRecognizer("one two three four five six")
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        await desk.hear(6)
        moments = [0.0, *recognizer.drafts]
        assert all(later - sooner > 0.79 for sooner, later in pairwise(moments))


async def test_no_draft_begins_while_others_want_the_recogniser(opened: Any, lanes: Lanes) -> None:
    recognizer = GrowingRecognizer("one two three four five six")
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        others = threading.Event()
        lanes.recognition.submit(others.wait, 5)
        await desk.hear(3)
        assert not recognizer.asked
        others.set()
        async with asyncio.timeout(20):
            while lanes.recognition.busy:  # noqa: ASYNC110 another thread's work, no signal
                await asyncio.sleep(0)
        await desk.hear(1)
        assert recognizer.drafts


async def test_one_draft_is_in_the_making_at_most(opened: Any, lanes: Lanes) -> None:
    recognizer = GrowingRecognizer("one two three four five six")
    recognizer.may_go_on.clear()
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        for _ in range(20):
            desk.engine.ask(engine.Hear(pcm=bytes(BYTES_PER_S // 5)))
            await asyncio.sleep(0)
        recognizer.may_go_on.set()
        await desk.rest()
        assert len(recognizer.drafts) == 2, "the one that waited, and one of all that came meanwhile"


async def test_a_long_speech_is_heard_a_few_seconds_at_a_time(opened: Any) -> None:
    recognizer = GrowingRecognizer(" ".join(f"word{n}" for n in range(60)))
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        await desk.hear(40, step_s=0.5)
        assert max(recognizer.drafts) <= 10
        before = desk.text
        assert before.count(" ") > 20
        done = await desk.commit(40_000)
        assert done.text == desk.text and desk.text.startswith(before)


async def test_an_item_that_never_comes_is_not_followed(opened: Any) -> None:
    recognizer = GrowingRecognizer("one two three four five six")
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        await desk.hear(3)
        desk.engine.ask(engine.Unfollow(item_id=ITEM))
        told = len(desk.told)
        await desk.hear(3)
        assert told and len(desk.told) == told
        done = await desk.commit(6000, engine.Transcribe(item_id="item_2"))
        assert done.text == "one two three four five six"


async def test_a_recogniser_that_breaks_costs_no_more_than_it_did(opened: Any) -> None:
    recognizer = GrowingRecognizer("one two three four five six")
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        await desk.hear(3)
        recognizer.broken = True
        await desk.hear(2)
        tries = len(recognizer.drafts)
        await desk.hear(2)
        assert len(recognizer.drafts) == tries
        recognizer.broken = False
        done = await desk.commit(6000)
        assert done.text == desk.text == "one two three four five six"


async def test_closing_in_the_middle_of_a_draft_leaves_no_task(opened: Any) -> None:
    recognizer = GrowingRecognizer("one two three")
    recognizer.may_go_on.clear()
    async with opened(recognizer) as desk:
        desk.engine.ask(FOLLOW)
        desk.engine.ask(engine.Hear(pcm=bytes(BYTES_PER_S)))
        await asyncio.sleep(0)
        recognizer.may_go_on.set()
        await desk.engine.close()
        assert not desk.engine._tasks
