"""An engine that reads and writes: a chat model and nothing else. Hears nothing, says nothing aloud.

For conversations that are text only, on machines without speech models too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from kaiwa.engines.answer import Answer, given
from kaiwa.engines.chat import ChatModel, ChatRequest
from kaiwa.events import engine
from kaiwa.events.response import FailureDetail

log = logging.getLogger("kaiwa.text")
_DEAF = FailureDetail(
    type="transcription_error", code="no_speech_models", message="This conversation is text only."
)


class TextEngine:
    """Fits `kaiwa.interfaces.Engine`, for one conversation. `chat` is shared by all."""

    def __init__(
        self,
        chat: ChatModel,
        *,
        language: str | None = None,
        time_zone: str = "Asia/Tokyo",
        clock: Callable[[ZoneInfo], datetime] = datetime.now,
    ) -> None:
        self._chat = chat
        self._language = language
        self._zone = ZoneInfo(time_zone)
        self._clock = clock
        self._events: asyncio.Queue[engine.EngineEvent] = asyncio.Queue()
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def ask(self, command: engine.EngineCommand) -> None:
        if self._closed:
            return
        if isinstance(command, engine.Generate):
            self._generate(command)
        elif isinstance(command, engine.Stop):
            if (task := self._answers.pop(command.response_id, None)) is not None:
                task.cancel()
        elif isinstance(command, engine.Transcribe):
            self._events.put_nowait(engine.TranscriptFailed(item_id=command.item_id, error=_DEAF))

    async def events(self) -> AsyncIterator[engine.EngineEvent]:
        while True:
            yield await self._events.get()

    async def close(self) -> None:
        self._closed = True
        tasks = list(self._answers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _generate(self, command: engine.Generate) -> None:
        answer = Answer(command, self._events.put_nowait)
        request = self._request(command)
        chat = self._chat.generate(request) if command.words is None else given(command.words)
        making = answer.make(chat, None, request.language)
        task = asyncio.get_running_loop().create_task(making)
        self._answers[command.response_id] = task
        task.add_done_callback(lambda done: self._ended(done, answer))

    def _ended(self, task: asyncio.Task[None], answer: Answer) -> None:
        self._answers.pop(answer.command.response_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("answer failed", exc_info=error)
            answer.break_off()

    def _request(self, command: engine.Generate) -> ChatRequest:
        return ChatRequest(
            history=command.history,
            instructions=command.instructions,
            tools=command.tools,
            tool_choice=command.tool_choice,
            max_output_tokens=command.max_output_tokens,
            language=command.language or self._language,
            progress=command.progress,
            now=self._clock(self._zone),
        )
