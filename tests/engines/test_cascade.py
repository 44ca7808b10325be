"""The cascade engine at its doorway: commands in, events out, over scripted models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from kaiwa.engines.cascade import CascadeEngine, Shared
from kaiwa.engines.lanes import Lanes
from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.events import engine
from kaiwa.events.items import InputAudio, InputText, Message
from kaiwa.events.tools import ToolProgress
from kaiwa.testing.speech import ScriptedChatModel, ScriptedRecognizer, ScriptedSynthesizer, scripted_speech

SECOND = bytes(48_000)
ITEM = "item_1"
SAID = Message(id=ITEM, role="user", content=(InputAudio(),))
BROKEN = UpstreamError("model_broken", "The model is broken.")
QUESTION = engine.Generate(response_id="", history=(SAID,), language="ja")
WANTED = engine.Transcribe(item_id=ITEM, language="ja")
PAUSE = engine.Prepare(item_id=ITEM, start_ms=0, end_ms=1000, generate=QUESTION, transcribe=WANTED)
TURN = engine.Commit(item_id=ITEM, start_ms=0, end_ms=1000)


class Desk:
    """An engine and what it said."""

    def __init__(self, made: CascadeEngine) -> None:
        self.engine = made
        self._events = made.events()

    def ask(self, *commands: engine.EngineCommand) -> None:
        for command in commands:
            self.engine.ask(command)

    async def next(self) -> Any:
        async with asyncio.timeout(20):
            return await anext(self._events)

    async def until(self, kind: type) -> list[Any]:
        events = [await self.next()]
        while not isinstance(events[-1], kind):
            events.append(await self.next())
        return events

    async def silent(self) -> bool:
        """Say whether nothing more comes, once everything the engine started has ended."""
        async with asyncio.timeout(20):
            while running := list(self.engine._tasks):
                await asyncio.wait(running)
        return self.engine._events.empty()


@pytest.fixture
def lanes():
    made = Lanes()
    yield made
    made.close()


@pytest.fixture
def opened(lanes: Lanes) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_desk(
        chat: ScriptedChatModel | None = None,
        recognizer: ScriptedRecognizer | None = None,
        synthesizer: ScriptedSynthesizer | None = None,
        *,
        ahead: bool = True,
    ) -> AsyncIterator[Desk]:
        speech = scripted_speech(recognizer, synthesizer)
        made = CascadeEngine(
            Shared(speech=speech, chat=chat or ScriptedChatModel(), lanes=lanes, ahead=ahead)
        )
        made.ask(engine.Hear(pcm=SECOND))
        try:
            yield Desk(made)
        finally:
            await made.close()

    return open_desk


def asked(response_id: str = "resp_1", **changes: Any) -> engine.Generate:
    fields = {"response_id": response_id, "history": (SAID,), "language": "ja"} | changes
    return engine.Generate(**fields)


async def test_working_ahead_says_only_how_complete_the_turn_is(opened: Any) -> None:
    async with opened() as desk:
        desk.ask(PAUSE)
        judged = await desk.next()
        assert isinstance(judged, engine.TurnLikelihood)
        assert (judged.item_id, judged.audio_ms, judged.text) == (ITEM, 1000, "こんにちは")
        assert await desk.silent()


async def test_an_equal_question_is_answered_by_what_was_prepared(opened: Any) -> None:
    chat, recognizer = ScriptedChatModel(), ScriptedRecognizer()
    async with opened(chat, recognizer) as desk:
        desk.ask(PAUSE)
        await desk.next()
        assert await desk.silent()
        desk.ask(TURN, asked("resp_7"))
        events = await desk.until(engine.GenerationEnded)
        assert {event.response_id for event in events} == {"resp_7"}
        assert [type(event) for event in events] == [
            engine.TextDelta,
            engine.AudioDelta,
            engine.GenerationEnded,
        ]
        assert (len(chat.requests), recognizer.calls) == (1, 1)


async def test_words_that_were_given_are_spoken_and_no_model_is_asked(opened: Any) -> None:
    chat, voice = ScriptedChatModel(), ScriptedSynthesizer()
    async with opened(chat, synthesizer=voice) as desk:
        desk.ask(asked(words="お調べしますね。"))
        events = await desk.until(engine.GenerationEnded)
        assert (
            "".join(event.text for event in events if isinstance(event, engine.TextDelta))
            == "お調べしますね。"
        )
        assert voice.said == ["お調べしますね。"] and not chat.requests


async def test_progress_of_calls_costs_no_second_thought(opened: Any) -> None:
    chat = ScriptedChatModel()
    async with opened(chat) as desk:
        desk.ask(PAUSE)
        await desk.next()
        assert await desk.silent()
        desk.ask(TURN, asked("resp_7", progress=(ToolProgress(call_id="call_1", fraction=0.5),)))
        await desk.until(engine.GenerationEnded)
        assert len(chat.requests) == 1


async def test_the_words_found_in_the_pause_are_not_recognised_again(opened: Any) -> None:
    recognizer = ScriptedRecognizer()
    async with opened(recognizer=recognizer) as desk:
        desk.ask(PAUSE)
        await desk.next()
        desk.ask(TURN, engine.Transcribe(item_id=ITEM))
        assert (await desk.next()).text == "こんにちは"
        assert recognizer.calls == 1


async def test_a_turn_that_ends_with_its_first_pause_is_heard_whole(opened: Any) -> None:
    async with opened() as desk:  # as audio comes that is faster than real time
        pause = msgspec.structs.replace(PAUSE, generate=None)
        desk.ask(pause, TURN, engine.Discard(until_ms=1000), WANTED)
        assert (await desk.until(engine.TranscriptDone))[-1].usage.seconds == 1


async def test_a_different_question_drops_what_was_prepared(opened: Any) -> None:
    chat = ScriptedChatModel()
    async with opened(chat) as desk:
        desk.ask(PAUSE)
        await desk.next()
        assert await desk.silent()
        before = Message(id="item_0", role="user", content=(InputText(text="まず"),))
        desk.ask(TURN, asked(history=(before, SAID)))
        await desk.until(engine.GenerationEnded)
        assert [len(request.history) for request in chat.requests] == [1, 2]
        assert await desk.silent()


async def test_a_paid_model_is_not_asked_ahead(opened: Any) -> None:
    chat = ScriptedChatModel()
    async with opened(chat, ahead=False) as desk:
        desk.ask(PAUSE)
        assert isinstance(await desk.next(), engine.TurnLikelihood)
        assert await desk.silent()
        assert not chat.requests


async def test_abandoning_cancels_the_answer_in_the_making(opened: Any) -> None:
    chat = ScriptedChatModel(before=asyncio.Event().wait)
    async with opened(chat) as desk:
        desk.ask(PAUSE)
        await desk.next()
        desk.ask(engine.Abandon(item_id=ITEM))
        assert await desk.silent()
        assert chat.left == len(chat.requests)


async def test_abandoning_leaves_words_that_were_asked_for(opened: Any) -> None:
    async with opened() as desk:
        desk.ask(PAUSE)
        await asyncio.sleep(0)
        desk.ask(TURN, engine.Transcribe(item_id=ITEM))
        await asyncio.sleep(0)
        desk.ask(engine.Abandon(item_id=ITEM))
        done = await desk.until(engine.TranscriptDone)
        assert done[-1].text == "こんにちは"


async def test_a_stopped_response_says_nothing_more(opened: Any) -> None:
    chat = ScriptedChatModel(before=asyncio.Event().wait)
    async with opened(chat) as desk:
        desk.ask(TURN, asked())
        async with asyncio.timeout(20):
            while not chat.requests:  # noqa: ASYNC110 the model is a value, not a signal
                await asyncio.sleep(0)
        desk.ask(engine.Stop(response_id="resp_1"))
        assert await desk.silent()
        assert chat.left == 1


async def test_audio_that_cannot_be_recognised_is_told_for_its_item(opened: Any) -> None:
    async with opened(recognizer=ScriptedRecognizer(error=BROKEN)) as desk:
        desk.ask(TURN, engine.Transcribe(item_id=ITEM))
        failed = await desk.next()
        assert isinstance(failed, engine.TranscriptFailed)
        assert failed.item_id == ITEM
        assert await desk.silent()


@pytest.mark.parametrize("broken", [BROKEN, RuntimeError("the secret of the house")])
async def test_a_recogniser_that_breaks_costs_its_item_and_nothing_else(
    opened: Any, broken: Exception
) -> None:
    recognizer = ScriptedRecognizer(error=broken)
    async with opened(recognizer=recognizer) as desk:
        desk.ask(PAUSE, TURN, WANTED, asked())
        events = [await desk.next(), await desk.next()]
        failed, ended = sorted(events, key=lambda event: isinstance(event, engine.GenerationEnded))
        assert isinstance(failed, engine.TranscriptFailed) and isinstance(ended, engine.GenerationEnded)
        told = failed.error.message + ended.error.message
        assert ended.reason == "failed" and "secret" not in told and "broken" not in failed.error.message
        recognizer.error = None
        desk.ask(engine.Remember(item_id="item_2", pcm=SECOND), engine.Transcribe(item_id="item_2"))
        assert (await desk.next()).text == "こんにちは"


@pytest.mark.parametrize("paused", [True, False])
async def test_language_prompt_and_logprobs_reach_the_recogniser(opened: Any, paused: bool) -> None:
    recognizer = ScriptedRecognizer()
    wanted = engine.Transcribe(item_id=ITEM, language="en", prompt="Corolla, Yaris.", logprobs=True)
    async with opened(recognizer=recognizer) as desk:
        if paused:
            desk.ask(engine.Prepare(item_id=ITEM, start_ms=0, end_ms=1000, transcribe=wanted))
            await desk.next()
        desk.ask(TURN, wanted)
        done = await desk.next()
        assert done.logprobs is not None and recognizer.calls == 1
        told = recognizer.asked[0]
        assert (told["language"], told["prompt"], told["logprobs"]) == ("en", "Corolla, Yaris.", True)


async def test_logprobs_asked_for_after_the_pause_are_still_given(opened: Any) -> None:
    async with opened() as desk:
        desk.ask(PAUSE)
        await desk.next()
        desk.ask(TURN, msgspec.structs.replace(WANTED, logprobs=True))
        assert (await desk.until(engine.TranscriptDone))[-1].logprobs


async def test_a_question_whose_words_cannot_be_recognised_ends_as_failed(opened: Any) -> None:
    async with opened(recognizer=ScriptedRecognizer(error=BROKEN)) as desk:
        desk.ask(TURN, asked())
        ended = await desk.next()
        assert isinstance(ended, engine.GenerationEnded)
        assert (ended.response_id, ended.reason) == ("resp_1", "failed")


async def test_a_voice_that_fails_ends_the_response_as_failed(opened: Any) -> None:
    async with opened(synthesizer=ScriptedSynthesizer(BROKEN)) as desk:
        desk.ask(TURN, asked())
        events = await desk.until(engine.GenerationEnded)
        assert events[-1].reason == "failed"
        assert events[-1].error.code == "model_broken"


@pytest.mark.parametrize(
    "broken",
    [
        ConfigError("speech", "the model /srv/voices/en is damaged.", "Install it again."),
        RuntimeError("the secret of the house"),
    ],
)
async def test_what_broke_inside_stays_inside_and_costs_one_response(opened: Any, broken: Exception) -> None:
    voice = ScriptedSynthesizer(broken)
    async with opened(synthesizer=voice) as desk:
        desk.ask(TURN, asked())
        ended = (await desk.until(engine.GenerationEnded))[-1]
        assert (ended.reason, ended.error.code) == ("failed", "engine_failed")
        assert ended.error.message == "The engine failed."
        voice.error = None
        desk.ask(asked("resp_2"))
        assert (await desk.until(engine.GenerationEnded))[-1].reason == "completed"


async def test_an_answer_that_broke_in_the_making_fails_when_it_is_asked_for(opened: Any) -> None:
    async with opened(synthesizer=ScriptedSynthesizer(RuntimeError("the secret of the house"))) as desk:
        desk.ask(PAUSE)
        await desk.next()
        assert await desk.silent()
        desk.ask(TURN, asked("resp_7"))
        ended = (await desk.until(engine.GenerationEnded))[-1]
        assert (ended.response_id, ended.reason) == ("resp_7", "failed")


async def test_text_alone_is_never_spoken(opened: Any) -> None:
    voice = ScriptedSynthesizer()
    async with opened(synthesizer=voice) as desk:
        desk.ask(TURN, asked(modalities=("text",)))
        events = await desk.until(engine.GenerationEnded)
        assert [type(event) for event in events] == [engine.TextDelta, engine.GenerationEnded]
        assert not voice.said


async def test_a_long_call_holds_no_more_than_a_short_one(opened: Any) -> None:
    async with opened() as desk:
        for turn in range(20):
            item_id = f"item_{turn}"
            said = Message(id=item_id, role="user", content=(InputAudio(),))
            desk.ask(
                engine.Hear(pcm=SECOND),
                engine.Prepare(item_id=item_id, start_ms=turn * 1000, end_ms=turn * 1000 + 1000),
                engine.Commit(item_id=item_id, start_ms=turn * 1000, end_ms=turn * 1000 + 1000),
            )
            await desk.until(engine.TurnLikelihood)
            if turn % 2:
                desk.ask(asked(f"resp_{turn}", history=(said,)))
                await desk.until(engine.GenerationEnded)
        assert await desk.silent()
        await asyncio.sleep(0)
        assert not desk.engine._answers
        assert len(desk.engine._prepared) <= 4


async def test_closing_in_the_middle_of_everything_leaves_no_task(opened: Any) -> None:
    chat = ScriptedChatModel(before=asyncio.Event().wait)
    async with opened(chat) as desk:
        desk.ask(PAUSE, TURN, asked(), asked("resp_2"), engine.Transcribe(item_id=ITEM))
        await desk.next()
        await desk.engine.close()
        await desk.engine.close()
        desk.ask(asked("resp_3"))
        assert not desk.engine._tasks
