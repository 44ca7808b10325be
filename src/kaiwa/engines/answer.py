"""One answer in the making: chat model to clauses to speech. Held back until it is released to a response."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import msgspec

from kaiwa.engines.chat import ChatArguments, ChatCall, ChatEnd, ChatEvent, ChatText
from kaiwa.engines.speech.clauses import ClauseSplitter
from kaiwa.errors import KaiwaError, UpstreamError
from kaiwa.events.engine import (
    ArgumentsDelta,
    AudioDelta,
    Generate,
    GenerationEnded,
    TextDelta,
    ToolCalled,
)
from kaiwa.events.response import FailureDetail

log = logging.getLogger("kaiwa.cascade")
AnswerEvent = TextDelta | AudioDelta | ArgumentsDelta | ToolCalled | GenerationEnded
# A clause, as pieces of house audio.
Speak = Callable[[str], Awaitable[Iterable[bytes]]]


class Answer:
    """Makes the events of one Generate. `release` names the response and lets out what is ready."""

    def __init__(self, command: Generate, emit: Callable[[AnswerEvent], None]) -> None:
        self.command = command
        self._emit = emit
        self._response_id = command.response_id
        self._held: list[AnswerEvent] = []

    def release(self, response_id: str) -> None:
        self._response_id = response_id
        held, self._held = self._held, []
        for event in held:
            self._emit(msgspec.structs.replace(event, response_id=response_id))

    def _put(self, event: AnswerEvent) -> None:
        if self._response_id:
            self._emit(event)
        else:
            self._held.append(event)

    async def make(self, chat: AsyncIterator[ChatEvent], speak: Speak | None, language: str | None) -> None:
        """Run to the end. A model that fails ends the response as failed; nothing is raised.

        `speak` None: in text, whatever was asked for.
        """
        try:
            end = await self._make(chat, speak, language)
        except KaiwaError as error:
            self.fail(error)
            return
        self._end(end)

    def fail(self, error: KaiwaError) -> None:
        """End the response as failed. Only an UpstreamError's sentence is meant for others' ears."""
        if isinstance(error, UpstreamError):
            self._fail(error.code, error.message)
        else:
            log.error("answer failed", exc_info=error)
            self.break_off()

    def break_off(self) -> None:
        """End the response as failed, without a reason that anybody outside could use."""
        self._fail("engine_failed", "The engine failed.")

    def _fail(self, code: str, message: str) -> None:
        detail = FailureDetail(type="server_error", code=code, message=message)
        self._end(ChatEnd(reason="failed", error=detail))

    def _end(self, end: ChatEnd) -> None:
        self._put(
            GenerationEnded(
                response_id=self._response_id, reason=end.reason, usage=end.usage, error=end.error
            )
        )

    async def _make(
        self, chat: AsyncIterator[ChatEvent], speak: Speak | None, language: str | None
    ) -> ChatEnd:
        if "audio" not in self.command.modalities:
            speak = None
        clauses = ClauseSplitter(language or "ja")
        end = ChatEnd()
        async for event in chat:
            if isinstance(event, ChatText):
                if speak is None:
                    self._put(TextDelta(response_id=self._response_id, text=event.text))
                    continue
                for clause in clauses.feed(event.text):
                    await self._say(clause, speak)
                continue
            for clause in clauses.flush():
                await self._say(clause, speak)
            if isinstance(event, ChatEnd):
                end = event
            else:
                self._call(event)
        return end

    def _call(self, event: ChatArguments | ChatCall) -> None:
        if isinstance(event, ChatArguments):
            self._put(
                ArgumentsDelta(
                    response_id=self._response_id, index=event.index, name=event.name, delta=event.delta
                )
            )
            return
        self._put(
            ToolCalled(
                response_id=self._response_id,
                index=event.index,
                name=event.name,
                arguments=event.arguments,
                call_id=event.call_id,
                confirmed=event.confirmed,
            )
        )

    async def _say(self, clause: str, speak: Speak | None) -> None:
        """Send the words, then their sound."""
        self._put(TextDelta(response_id=self._response_id, text=clause))
        for pcm in await speak(clause) if speak is not None else ():
            self._put(AudioDelta(response_id=self._response_id, pcm=pcm))


async def given(words: str) -> AsyncIterator[ChatEvent]:
    """Answer with words that were given, as a chat model answers with its own."""
    yield ChatText(text=words)
    yield ChatEnd()
