"""The engine for text: a chat model's words and calls, and nothing that needs a speech model."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

from kaiwa.engines.chat import ChatCall, ChatEnd, ChatEvent, ChatRequest, ChatText, Expectation
from kaiwa.engines.text import TextEngine
from kaiwa.events import engine
from kaiwa.events.items import InputText, Message

HELLO = Message(id="item_1", role="user", content=(InputText(text="こんにちは"),))


class FakeChat:
    """Answers with what it is given; `endless` waits for ever after that."""

    def __init__(self, *events: ChatEvent, endless: bool = False) -> None:
        self.events = events
        self.endless = endless
        self.asked: list[ChatRequest] = []
        self.closed = asyncio.Event()

    async def generate(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        self.asked.append(request)
        try:
            for event in self.events:
                yield event
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.closed.set()

    def expect(self, request: ChatRequest) -> Expectation:
        return Expectation()


async def _heard(text: TextEngine, count: int) -> list[engine.EngineEvent]:
    events = text.events()
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


async def test_words_and_calls_of_the_model_become_events_of_the_response() -> None:
    chat = FakeChat(ChatText(text="はい、"), ChatCall(index=0, name="find", arguments="{}"), ChatEnd())
    text = TextEngine(chat, language="ja")
    text.ask(engine.Generate(response_id="resp_1", history=(HELLO,), instructions="短く"))
    said, called, ended = await _heard(text, 3)
    assert said == engine.TextDelta(response_id="resp_1", text="はい、")
    assert isinstance(called, engine.ToolCalled)
    assert called.name == "find"
    assert ended == engine.GenerationEnded(response_id="resp_1", reason="completed")
    assert chat.asked[0].history == (HELLO,)
    assert chat.asked[0].instructions == "短く"
    assert chat.asked[0].now.tzinfo is not None
    await text.close()


async def test_words_that_are_given_ask_no_model() -> None:
    chat = FakeChat(ChatText(text="no"), ChatEnd())
    text = TextEngine(chat)
    text.ask(engine.Generate(response_id="resp_1", history=(), words="お調べしますね。"))
    said, _ = await _heard(text, 2)
    assert said == engine.TextDelta(response_id="resp_1", text="お調べしますね。")
    assert chat.asked == []
    await text.close()


async def test_stopping_an_answer_closes_the_model_s_stream() -> None:
    chat = FakeChat(ChatText(text="長い話"), endless=True)
    text = TextEngine(chat)
    text.ask(engine.Generate(response_id="resp_1", history=(HELLO,)))
    await _heard(text, 1)
    text.ask(engine.Stop(response_id="resp_1"))
    async with asyncio.timeout(20):
        await chat.closed.wait()
    await text.close()


async def test_a_model_that_breaks_costs_one_response() -> None:
    class Broken(FakeChat):
        async def generate(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
            raise RuntimeError("with a secret")
            yield ChatEnd()

    text = TextEngine(Broken())
    text.ask(engine.Generate(response_id="resp_1", history=(HELLO,)))
    (ended,) = await _heard(text, 1)
    assert isinstance(ended, engine.GenerationEnded)
    assert ended.reason == "failed"
    assert ended.error is not None
    assert "secret" not in ended.error.message
    await text.close()


async def test_audio_gets_a_clear_failure_instead_of_silence() -> None:
    text = TextEngine(FakeChat())
    text.ask(engine.Transcribe(item_id="item_2"))
    (failed,) = await _heard(text, 1)
    assert isinstance(failed, engine.TranscriptFailed)
    assert failed.error.code == "no_speech_models"
    await text.close()


def test_it_can_be_imported_where_no_speech_model_is_installed() -> None:
    heavy = ("onnxruntime", "ctranslate2", "pyopenjtalk", "tokenizers")
    program = f"import sys, kaiwa.engines.text; assert not set({heavy!r}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
