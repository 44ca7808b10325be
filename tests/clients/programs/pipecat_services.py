"""pipecat: its Realtime services for OpenAI and Azure in a pipeline with both context aggregators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from job import (
    GREETING,
    LONG_WISH,
    MODEL,
    THANKS,
    WEATHER_DESCRIPTION,
    WEATHER_NAME,
    WEATHER_QUESTION,
    WEATHER_RESULT,
    Inbox,
    Job,
    Saw,
    Turns,
    long_answer,
    perform,
)
from loguru import logger
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallResultFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.azure.realtime.llm import AzureRealtimeLLMService
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner

RATE_HZ = 24_000
BEGINNING = 9
"""So many pieces of 100 ms are enough to be noticed, and are within the first words."""
HEARING = events.AudioConfiguration(
    input=events.AudioInput(
        transcription=events.InputAudioTranscription(model="whisper-1"), turn_detection=events.TurnDetection()
    )
)
TEXT_ONLY = events.SessionProperties(output_modalities=["text"])
Maker = Callable[[events.SessionProperties], OpenAIRealtimeLLMService]


class Witness(FrameProcessor):
    """Passes every frame on and tells of it."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__()
        self._inbox = inbox

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self._inbox.put(frame)
        await self.push_frame(frame, direction)


class Talk:
    """One running pipeline, and what was seen in it before and behind the service."""

    def __init__(self, job: Job, service: OpenAIRealtimeLLMService, tools: list[FunctionSchema]) -> None:
        self.service = service
        self.context = LLMContext(tools=ToolsSchema(standard_tools=list(tools)))
        self.before, self.behind, self.items = Inbox(job), Inbox(job), Inbox(job)
        self.sound_bytes = 0
        self.ended: set[str] = set()
        pair = LLMContextAggregatorPair(self.context)
        parts = [pair.user(), Witness(self.before), service, Witness(self.behind), pair.assistant()]
        params = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
        self.worker = PipelineWorker(Pipeline(parts), params=params, cancel_on_idle_timeout=False)

        @service.event_handler("on_conversation_item_updated")
        async def updated(_service: Any, _item_id: str, item: Any) -> None:
            self.items.put(item)

    async def say(self, text: str) -> Saw:
        self.context.add_message({"role": "user", "content": text})
        await self.worker.queue_frame(LLMRunFrame())
        return await self.answer()

    async def speak(self, job: Job) -> None:
        """Begin to speak, and go on when the pipeline has noticed: sound comes faster than in life here."""
        pieces = [InputAudioRawFrame(piece, RATE_HZ, 1) for piece in job.pieces()]
        await self.worker.queue_frames(pieces[:BEGINNING])
        await self.behind.until("interruption", lambda frame: isinstance(frame, InterruptionFrame))
        await self.worker.queue_frames(pieces[BEGINNING:])

    async def answer(self) -> Saw:
        """Wait for the end of an answer that has words: one with nothing but a call has none."""
        words: list[str] = []

        def ends(frame: Any) -> bool:
            if isinstance(frame, LLMTextFrame):
                words.append(frame.text)
            if isinstance(frame, TTSAudioRawFrame):
                self.sound_bytes += len(frame.audio)
            return isinstance(frame, LLMFullResponseEndFrame) and bool(words)

        await self.behind.until("end of the answer", ends)
        return {
            "status": await self.ending(), "words": "".join(words), "sound_bytes": self.sound_bytes,
        }  # fmt: skip

    async def ending(self) -> str:
        """How the answer ended, by its item: the framework does not tell of the response's status."""
        item = await self.items.until("item of the answer", self._is_new_and_ended)
        self.ended.add(item.id)
        return "cancelled" if item.status == "incomplete" else item.status

    def _is_new_and_ended(self, item: Any) -> bool:
        if item is None or item.role != "assistant" or item.id in self.ended:
            return False
        return item.status != "in_progress"


@asynccontextmanager
async def talking(job: Job, service: Any, *tools: FunctionSchema) -> AsyncIterator[Talk]:
    talk = Talk(job, service, list(tools))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(talk.worker)
    running = asyncio.create_task(runner.run())
    try:
        yield talk
    finally:
        await talk.worker.cancel()
        await running


def turns(job: Job, service: Maker) -> Turns:
    async def text() -> Saw:
        async with talking(job, service(TEXT_ONLY)) as talk:
            return await talk.say(GREETING)

    async def audio() -> Saw:
        async with talking(job, service(events.SessionProperties(audio=HEARING))) as talk:
            await talk.speak(job)
            answer = await talk.answer()
            heard = await talk.before.until("transcript", lambda frame: isinstance(frame, TranscriptionFrame))
            return answer | {"heard": heard.text}

    async def tool() -> Saw:
        location = {"location": {"type": "string", "description": "The city and state"}}
        weather = FunctionSchema(WEATHER_NAME, WEATHER_DESCRIPTION, location, ["location"])
        llm = service(events.SessionProperties())
        calls: list[Saw] = []

        async def handle(params: Any) -> None:
            calls.append({"name": params.function_name, "arguments": dict(params.arguments)})
            await params.result_callback(WEATHER_RESULT)

        llm.register_function(WEATHER_NAME, handle)
        async with talking(job, llm, weather) as talk:
            talk.context.add_message({"role": "user", "content": WEATHER_QUESTION})
            await talk.worker.queue_frame(LLMRunFrame())
            await talk.behind.until("result", lambda frame: isinstance(frame, FunctionCallResultFrame))
            return await talk.answer() | {"call": calls[0]}

    async def interruption() -> Saw:
        speaking = events.SessionProperties(instructions=long_answer(), audio=HEARING)
        async with talking(job, service(speaking)) as talk:
            talk.context.add_message({"role": "user", "content": LONG_WISH})
            await talk.worker.queue_frame(LLMRunFrame())
            await talk.behind.until("sound", lambda frame: isinstance(frame, TTSAudioRawFrame))
            await talk.speak(job)
            cut = await talk.ending()
            return await talk.answer() | {"interrupted": cut}

    async def error() -> Saw:
        async with talking(job, service(TEXT_ONLY)) as talk:
            await talk.say(GREETING)
            wrong = events.ConversationItemDeleteEvent(item_id="item_nobody")
            await talk.service.send_client_event(wrong)
            told = await talk.before.until("error", lambda frame: isinstance(frame, ErrorFrame))
        async with talking(job, service(TEXT_ONLY)) as talk:  # a service that met an error listens no more
            return await talk.say(THANKS) | {"error": told.error}

    done: dict[str, Callable[[], Awaitable[Saw]]] = {
        "text": text, "audio": audio, "tool": tool, "interruption": interruption, "error": error,
    }  # fmt: skip
    return done


def openai(job: Job) -> Turns:
    def service(properties: events.SessionProperties) -> OpenAIRealtimeLLMService:
        settings = OpenAIRealtimeLLMService.Settings(model=MODEL, session_properties=properties)
        return OpenAIRealtimeLLMService(
            api_key=job.key, base_url=f"ws://{job.plain}/v1/realtime", settings=settings
        )

    return turns(job, service)


def azure(*, by_token: bool) -> Callable[[Job], Turns]:
    def flavour(job: Job) -> Turns:
        async def token() -> str:
            return job.key

        def service(properties: events.SessionProperties) -> OpenAIRealtimeLLMService:
            settings = AzureRealtimeLLMService.Settings(model=MODEL, session_properties=properties)
            credential: Any = {"token_provider": token} if by_token else {"api_key": job.key}
            url = f"ws://{job.plain}/openai/v1/realtime"
            return AzureRealtimeLLMService(base_url=url, settings=settings, **credential)

        return turns(job, service)

    return flavour


if __name__ == "__main__":
    logger.remove()
    perform({"OpenAI": openai, "Azure": azure(by_token=False), "Azure, Entra": azure(by_token=True)})
