"""livekit: the RealtimeModel of its openai plugin, in its OpenAI flavour and in those for Azure."""

from __future__ import annotations

import json
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
from livekit import rtc
from livekit.agents import function_tool, llm, utils
from livekit.plugins.openai.realtime import RealtimeModel
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

RATE_HZ = 24_000
PREVIEW = "2025-04-01-preview"
DETECTION = ServerVad(type="server_vad", create_response=True, interrupt_response=False)


@function_tool(name=WEATHER_NAME, description=WEATHER_DESCRIPTION)
async def weather(location: str) -> str:
    """The session only tells of calls; the agent framework around it would run them."""
    return json.dumps(WEATHER_RESULT, ensure_ascii=False)


class Talk:
    """One session of the model and what it told."""

    def __init__(self, job: Job, session: llm.RealtimeSession) -> None:
        self.session = session
        self.made = Inbox(job)
        self.heard = Inbox(job)
        self.errors = Inbox(job)
        self.events = Inbox(job)
        session.on("generation_created", self.made.put)
        session.on("input_audio_transcription_completed", self.heard.put)
        session.on("error", self.errors.put)
        session.on("openai_server_event_received", self.events.put)

    async def event(self, name: str) -> Any:
        return await self.events.until(name, lambda event: event["type"] == name)

    async def add(self, *items: Any) -> None:
        chat = self.session.chat_ctx.copy()
        chat.items.extend(items)
        await self.session.update_chat_ctx(chat)

    async def ask(self, text: str) -> Saw:
        await self.add(llm.ChatMessage(role="user", content=[text]))
        return await self.collect(await self.session.generate_reply())

    async def collect(self, made: Any, *, stop: bool = False) -> Saw:
        """Read what is generated to its end; `stop` interrupts at the first sound."""
        words, sound_bytes = "", 0
        async for message in made.message_stream:
            async for frame in message.audio_stream:
                sound_bytes += len(bytes(frame.data))
                if stop:
                    self.session.interrupt()
                    stop = False
            words += "".join([str(piece) async for piece in message.text_stream])
        calls = [call async for call in made.function_stream]
        done = await self.event("response.done")
        return {
            "status": done["response"]["status"], "words": words, "sound_bytes": sound_bytes, "calls": calls,
        }  # fmt: skip


@asynccontextmanager
async def talking(job: Job, model: RealtimeModel) -> AsyncIterator[Talk]:
    session = model.session()
    try:
        yield Talk(job, session)
    finally:
        await session.aclose()
        await model.aclose()


def turns(job: Job, model: Callable[..., RealtimeModel]) -> Turns:
    async def text() -> Saw:
        async with talking(job, model(modalities=["text"])) as talk:
            return without_calls(await talk.ask(GREETING))

    async def audio() -> Saw:
        async with talking(job, model(turn_detection=DETECTION)) as talk:
            await talk.event("session.updated")
            for piece in job.pieces():
                talk.session.push_audio(rtc.AudioFrame(piece, RATE_HZ, 1, len(piece) // 2))
            answer = await talk.collect(await talk.made.until("generation", bool))
            heard = await talk.heard.until("transcript", lambda heard: heard.is_final)
            return without_calls(answer) | {"heard": heard.transcript}

    async def tool() -> Saw:
        async with talking(job, model()) as talk:
            await talk.session.update_tools([weather])
            asked = await talk.ask(WEATHER_QUESTION)
            (call,) = asked["calls"]
            output = json.dumps(WEATHER_RESULT, ensure_ascii=False)
            await talk.add(
                llm.FunctionCallOutput(name=call.name, call_id=call.call_id, output=output, is_error=False)
            )
            answer = await talk.collect(await talk.session.generate_reply())
            told = {"name": call.name, "arguments": json.loads(call.arguments)}
            return without_calls(answer) | {"call": told}

    async def interruption() -> Saw:
        async with talking(job, model()) as talk:
            await talk.add(llm.ChatMessage(role="user", content=[LONG_WISH]))
            reply = await talk.session.generate_reply(instructions=long_answer())
            cut = await talk.collect(reply, stop=True)
            return without_calls(await talk.ask(THANKS)) | {"interrupted": cut["status"]}

    async def error() -> Saw:
        async with talking(job, model(modalities=["text"])) as talk:
            wrong = {"type": "conversation.item.delete", "item_id": "item_nobody", "event_id": "mine_1"}
            talk.session.send_event(wrong)
            told = (await talk.errors.until("error", bool)).error.body
            return without_calls(await talk.ask(THANKS)) | {"error": told.message, "blamed": told.event_id}

    done: dict[str, Callable[[], Awaitable[Saw]]] = {
        "text": text, "audio": audio, "tool": tool, "interruption": interruption, "error": error,
    }  # fmt: skip
    return {name: in_a_job_of_livekit(turn) for name, turn in done.items()}


def without_calls(saw: Saw) -> Saw:
    return {name: value for name, value in saw.items() if name != "calls"}


def in_a_job_of_livekit(turn: Callable[[], Awaitable[Saw]]) -> Callable[[], Awaitable[Saw]]:
    async def inside() -> Saw:
        async with utils.http_context.open():  # the framework's agents run inside one
            return await turn()

    return inside


def openai(job: Job) -> Turns:
    def model(**settings: Any) -> RealtimeModel:
        return RealtimeModel(model=MODEL, base_url=f"http://{job.plain}/v1", api_key=job.key, **settings)

    return turns(job, model)


def azure(**how: Callable[[Job], Any]) -> Callable[[Job], Turns]:
    def flavour(job: Job) -> Turns:
        def model(**settings: Any) -> RealtimeModel:
            given = {name: value(job) for name, value in how.items()}
            return RealtimeModel.with_azure(
                azure_deployment=MODEL, azure_endpoint=f"http://{job.plain}", **given, **settings
            )

        return turns(job, model)

    return flavour


if __name__ == "__main__":
    perform(
        {
            "OpenAI": openai,
            "Azure v1": azure(api_key=lambda job: job.key),
            "Azure v1, Entra": azure(entra_token=lambda job: job.key),
            "Azure with api-version": azure(api_key=lambda job: job.key, api_version=lambda job: PREVIEW),
        }
    )
