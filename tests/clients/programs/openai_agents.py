"""openai-agents: a RealtimeRunner with its tools, a handoff, a guardrail and an approval."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from agents import GuardrailFunctionOutput, OutputGuardrail, function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession, realtime_handoff
from agents.realtime.model_inputs import RealtimeModelSendRawMessage
from job import (
    GREETING,
    LONG_WISH,
    MODEL,
    SILENT_PIECE,
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

TEXT_ONLY: Any = {"output_modalities": ["text"]}
# A name that does not sound like an act: the embedded engine asks before it acts, even where it is forced.
HANDOFF = {"tool_name_override": "show_billing_desk", "tool_description_override": "Show the billing desk"}
COURTESY = 3.0
"""How many seconds of silence may pass until the server takes a turn as ended."""


def weather_tool(*, needs_approval: bool = False) -> Any:
    @function_tool(
        name_override=WEATHER_NAME, description_override=WEATHER_DESCRIPTION, needs_approval=needs_approval
    )
    async def weather(location: str) -> str:
        return json.dumps(WEATHER_RESULT, ensure_ascii=False)

    return weather


class Talk:
    """One session: what it told, as it came."""

    def __init__(self, job: Job, session: RealtimeSession) -> None:
        self.job = job
        self.session = session
        self.inbox = Inbox(job)
        self.history: dict[str, Any] = {}
        self.call: Saw | None = None
        self.sound_bytes = 0

    async def listen(self) -> None:
        try:
            async for event in self.session:
                self._note(event)
                self.inbox.put(event)
        except Exception as failure:  # noqa: BLE001 told where the turn waits
            self.inbox.put(failure)

    def _note(self, event: Any) -> None:
        if event.type == "history_added":
            self.history[event.item.item_id] = event.item
        elif event.type == "history_updated":
            self.history.update({item.item_id: item for item in event.history})
        elif event.type == "audio":
            self.sound_bytes += len(event.audio.data)
        elif event.type == "tool_start":
            self.call = {"name": event.tool.name, "arguments": json.loads(event.arguments)}

    async def raw(self, kind: str, **fields: Any) -> None:
        message: Any = {"type": kind, "other_data": fields}
        await self.session.model.send_event(RealtimeModelSendRawMessage(message=message))

    async def add(self, text: str) -> None:
        """Put a message into the conversation without asking for an answer, as `send_message` would."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.raw("conversation.item.create", item=item)

    async def until(self, what: str, fits: Callable[[Any], Any]) -> Any:
        def checked(event: Any) -> Any:
            if event.type == "error":
                raise RuntimeError(str(event.error))
            return fits(event)

        return await self.inbox.until(what, checked)

    async def answer(self) -> Saw:
        done = await self.until("response.done", is_answer)
        await self.until("agent_end", lambda event: event.type == "agent_end")
        said = [item for item in self.history.values() if getattr(item, "role", "") == "assistant"]
        words = "".join(words_of(said[-1])) if said else ""
        return {
            "status": done.data.data["response"]["status"],
            "words": words,
            "sound_bytes": self.sound_bytes,
            "roles": [getattr(item, "role", item.type) for item in self.history.values()],
        }


def is_answer(event: Any) -> bool:
    """Whether a session event ends a response that asks for no tool."""
    if event.type != "raw_model_event" or event.data.type != "raw_server_event":
        return False
    told = event.data.data
    return told["type"] == "response.done" and not any(
        item["type"] == "function_call" for item in told["response"]["output"]
    )


def words_of(item: Any) -> list[str]:
    return [getattr(part, "text", None) or getattr(part, "transcript", None) or "" for part in item.content]


@asynccontextmanager
async def talking(job: Job, agent: RealtimeAgent[Any], settings: Any, **config: Any) -> AsyncIterator[Talk]:
    runner = RealtimeRunner(agent, config={"model_settings": {"model_name": MODEL} | settings, **config})
    session = await runner.run(
        model_config={"api_key": job.key, "url": f"ws://{job.plain}/v1/realtime?model={MODEL}"}
    )
    async with session:
        talk = Talk(job, session)
        listening = asyncio.create_task(talk.listen())
        try:
            yield talk
        finally:
            listening.cancel()


def turns(job: Job) -> Turns:
    clerk = RealtimeAgent(name="clerk", instructions="", tools=[weather_tool()])

    async def text() -> Saw:
        async with talking(job, clerk, TEXT_ONLY) as talk:
            await talk.session.send_message(GREETING)
            return await talk.answer()

    async def audio() -> Saw:
        async with talking(job, clerk, {}) as talk:
            for piece in job.pieces():
                await talk.session.send_audio(piece)
            for _ in range(round(COURTESY * 10)):
                await talk.session.send_audio(SILENT_PIECE)
            answer = await talk.answer()
            user = next(item for item in talk.history.values() if getattr(item, "role", "") == "user")
            return answer | {"heard": "".join(words_of(user))}

    async def tool() -> Saw:
        async with talking(job, clerk, {}) as talk:
            await talk.session.send_message(WEATHER_QUESTION)
            await talk.until("result of the tool", lambda event: event.type == "tool_end")
            return await talk.answer() | {"call": talk.call}

    async def interruption() -> Saw:
        async with talking(job, clerk, {}) as talk:
            await talk.add(LONG_WISH)
            await talk.raw("response.create", response={"instructions": long_answer()})
            await talk.until("sound", lambda event: event.type == "audio")
            for piece in job.pieces():
                await talk.session.send_audio(piece)
            await talk.until("audio_interrupted", lambda event: event.type == "audio_interrupted")
            cut = await talk.answer()
            for _ in range(round(COURTESY * 10)):
                await talk.session.send_audio(SILENT_PIECE)
            return await talk.answer() | {"interrupted": cut["status"]}

    async def error() -> Saw:
        async with talking(job, clerk, TEXT_ONLY) as talk:
            await talk.raw("conversation.item.delete", item_id="item_nobody", event_id="mine_1")
            failed = await talk.inbox.until("error", lambda event: event.type == "error")
            await talk.session.send_message(THANKS)
            return await talk.answer() | {"error": failed.error.message, "blamed": failed.error.event_id}

    async def handoff() -> Saw:
        desk = RealtimeAgent(name="billing", instructions="あなたは中央レンタカーの受付です。")
        front = RealtimeAgent(name="front", instructions="", handoffs=[realtime_handoff(desk, **HANDOFF)])
        async with talking(job, front, TEXT_ONLY) as talk:
            await talk.add("請求について聞きたいです")
            forced = {"type": "function", "name": HANDOFF["tool_name_override"]}
            await talk.raw("response.create", response={"tool_choice": forced})
            moved = await talk.until("handoff", lambda event: event.type == "handoff")
            return await talk.answer() | {"agent": moved.to_agent.name}

    async def guardrail() -> Saw:
        async def trip(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
            return GuardrailFunctionOutput(output_info={}, tripwire_triggered="受付番号" in str(output))

        guard: Any = OutputGuardrail(guardrail_function=trip, name="no numbers")
        settings = {"debounce_text_length": 1}
        config: Any = {"output_guardrails": [guard], "guardrails_settings": settings}
        async with talking(job, clerk, {}, **config) as talk:
            await talk.add(LONG_WISH)
            await talk.raw("response.create", response={"instructions": long_answer()})
            tripped = await talk.until("guardrail", lambda event: event.type == "guardrail_tripped")
            cut = await talk.answer()
            return await talk.answer() | {
                "tripped": len(tripped.guardrail_results),
                "interrupted": cut["status"],
            }

    async def approval() -> Saw:
        careful = RealtimeAgent(name="careful", instructions="", tools=[weather_tool(needs_approval=True)])
        async with talking(job, careful, TEXT_ONLY) as talk:
            await talk.session.send_message(WEATHER_QUESTION)
            asked = await talk.until("request", lambda event: event.type == "tool_approval_required")
            await talk.session.approve_tool_call(asked.call_id)
            await talk.until("result of the tool", lambda event: event.type == "tool_end")
            return await talk.answer() | {"call": talk.call}

    done: dict[str, Callable[[], Awaitable[Saw]]] = {
        "text": text, "audio": audio, "tool": tool, "interruption": interruption, "error": error,
        "handoff": handoff, "guardrail": guardrail, "approval": approval,
    }  # fmt: skip
    return done


if __name__ == "__main__":
    perform({"RealtimeRunner": turns})
