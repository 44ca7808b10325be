"""Speech models that do what a test says, at once. They fit where `SpeechModels` holds the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, cast

from kaiwa.engines.chat import ChatEnd, ChatEvent, ChatRequest, ChatText, Expectation
from kaiwa.engines.speech.models import SpeechModels
from kaiwa.engines.speech.recognition import Recognition
from kaiwa.engines.speech.turns import TurnJudge
from kaiwa.events.logprobs import TokenLogprob

CHUNK = bytes(9600)


class ScriptedRecognizer:
    """Hears the same `text` in everything, or fails with `error`."""

    def __init__(self, text: str = "こんにちは", error: Exception | None = None) -> None:
        self.text = text
        self.error = error
        self.asked: list[dict[str, Any]] = []

    @property
    def calls(self) -> int:
        return len(self.asked)

    def transcribe(self, pcm: bytes, *, logprobs: bool = False, **asked: Any) -> Recognition:
        self.asked.append({**asked, "logprobs": logprobs})
        if self.error is not None:
            raise self.error
        whole = TokenLogprob(token=self.text, logprob=0.0, bytes=tuple(self.text.encode()))
        return Recognition(self.text, "ja", 0.0, 0.0, len(pcm) / 48_000, (whole,) if logprobs else None)


class ScriptedSynthesizer:
    """Says every text as 200 ms of silence, or fails with `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.said: list[str] = []

    def speak(self, text: str, **_: Any) -> Iterator[bytes]:
        if self.error is not None:
            raise self.error
        self.said.append(text)
        yield CHUNK


class DeafStream:
    def hear(self, pcm: bytes) -> list[tuple[int, float]]:
        return []


class DeafVoiceActivity:
    """Hears nobody."""

    def stream(self) -> DeafStream:
        return DeafStream()


class ScriptedChatModel:
    """Fits `ChatModel`: answers each request with `events`, waiting for `before` ahead of the first one."""

    def __init__(self, events: Sequence[ChatEvent] = (), *, before: Callable[[], Any] | None = None) -> None:
        self.events = tuple(events) or (ChatText(text="はい。"), ChatEnd())
        self.before = before
        self.requests: list[ChatRequest] = []
        self.left = 0

    async def generate(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        self.requests.append(request)
        try:
            if self.before is not None:
                await self.before()
            for event in self.events:
                yield event
        finally:
            self.left += 1

    def expect(self, request: ChatRequest) -> Expectation:
        return Expectation()


def scripted_speech(
    recognizer: ScriptedRecognizer | None = None, synthesizer: ScriptedSynthesizer | None = None
) -> SpeechModels:
    """Return a set of speech models of which nothing is loaded. The turn judge is the real rule."""
    return SpeechModels(
        vad=cast(Any, DeafVoiceActivity()),
        recognizer=recognizer or ScriptedRecognizer(),
        synthesizer=synthesizer or ScriptedSynthesizer(),
        turns=TurnJudge(),
    )
