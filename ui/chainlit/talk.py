"""One visitor's talk with an agent: joins the line to kaiwa, the page's sound and the transcript.

Opens the line when it is first needed, dials again when it breaks, and then tells what was said.
Sound goes up in the order it came; what comes down is counted, so that an interruption knows what was heard.
"""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import Awaitable, Callable

import sessions
from chainlit.context import context, local_steps
from environment import Choice, Place
from events_view import EventsView
from line import Event, Line, LineError, dial
from playing import Playing, Spoken
from transcript import Transcript

import chainlit as cl

RETRY_S = (0.5, 1, 2, 4, 8)
MOST_WAITING = 128  # chunks of the microphone, 22 s; then the oldest is dropped
HARMLESS = ("response_cancel_not_active", "input_audio_buffer_commit_empty")
TAKEN = "conversation_already_has_active_response"


class Talk:
    def __init__(
        self, place: Place, choice: Choice, key: str | None, words: dict[str, str], transcript: Transcript
    ):
        self._place = place
        self._key = key
        self._words = words
        self.choice = choice
        self.transcript = transcript
        self.known_agents: tuple[str, ...] = ()
        self.events_view = EventsView(words)
        self._line: Line | None = None
        self._following: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._dialling = asyncio.Lock()
        self._microphone: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._voice_on = False
        self._track = ""
        self._playing = Playing()
        self._spoken: dict[str, Spoken] = {}
        self._active: set[str] = set()
        self._wants_answer = False
        self._silenced: set[str] = set()

    # What the visitor does

    async def say(self, message: cl.Message) -> None:
        """Take a typed message; an answer that is under way gives way to it."""
        line = await self._open_line()
        if line is None:
            return
        await self.transcript.typed(message)
        await self._fall_silent()
        if self._active:
            await self._send({"type": "response.cancel"})
        await self._send(sessions.typed(message.content, f"item_{uuid.uuid4().hex[:24]}"))
        await self._ask()

    async def start_voice(self) -> bool:
        """Turn speech on; False: there is no line."""
        self._track = uuid.uuid4().hex
        while not self._microphone.empty():
            self._microphone.get_nowait()  # of an earlier time
        self._voice_on = True
        fresh = self._line is None or not self._line.open
        if await self._open_line() is None:
            self._voice_on = False
            return False
        if not fresh:
            await self._tell_choice(first=False)
        return True

    def hear(self, chunk: bytes) -> None:
        """Take sound of the microphone. Never waits: what is put here in order is sent in order."""
        if self._microphone.full():
            self._microphone.get_nowait()
        self._microphone.put_nowait(chunk)

    async def stop_voice(self) -> None:
        self._voice_on = False
        await self._fall_silent(tell_page=False)
        if self._line is not None:
            await self._send({"type": "input_audio_buffer.clear"})
            await self._tell_choice(first=False)

    async def choose(self, choice: Choice) -> None:
        """Take the settings of the page over, in the running session where that is possible."""
        old, self.choice = self.choice, choice
        self.events_view.shown = choice.debug
        if self._line is None:
            return
        if any(getattr(old, name) != getattr(choice, name) for name in sessions.NEEDS_NEW_LINE):
            await self._fall_silent()
            await self.hang_up()
            if self._voice_on:
                await self._open_line()
        else:
            await self._tell_choice(first=False)

    async def hang_up(self) -> None:
        """End the line; what was said stays, and the next word opens a new one."""
        line, self._line = self._line, None
        for task in (self._sending, self._following):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._sending = self._following = None
        self._forget_answers()
        if line is not None:
            await line.close()
            await self.transcript.tools_lost()

    # The line

    async def _open_line(self) -> Line | None:
        async with self._dialling:
            if self._line is not None and self._line.open:
                return self._line
            try:
                return await self._dial()
            except LineError as error:
                await self.transcript.note(self._why(error), error=True)
                return None

    async def _dial(self) -> Line:
        agent = sessions.agent_for(self.choice.agent, self.choice.language, self.known_agents)
        line = self._line = await dial(self._place.kaiwa, agent, self._key)
        await self._tell_choice(first=True)
        for event in sessions.retold(self.transcript.steps):
            await self._send(event)
        self._following = asyncio.create_task(self._follow(line))
        self._sending = asyncio.create_task(self._send_sound(line))
        return line

    async def _send_sound(self, line: Line) -> None:
        while True:
            chunk = await self._microphone.get()
            await line.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(chunk).decode()})

    async def _follow(self, line: Line) -> None:
        local_steps.set([])  # whatever hook began this: messages stand beside each other
        async for event in line.events():
            await self.events_view.note("←", event)
            action = _TAKES.get(event["type"])
            if action is not None:
                await action(self, event)
        if self._line is line:
            await self._lost()

    async def _lost(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self._line = None
        await self._fall_silent()
        self._forget_answers()
        await self.transcript.tools_lost()
        if self._voice_on:
            await self._dial_again()

    async def _dial_again(self) -> None:
        await context.emitter.send_toast(self._words["again"], "warning")
        for pause_s in RETRY_S:
            await asyncio.sleep(pause_s)
            try:
                async with self._dialling:
                    await self._dial()
            except LineError as error:
                if error.code != "unreachable":
                    break
            else:
                await context.emitter.send_toast(self._words["back"], "success")
                return
        self._voice_on = False
        await context.emitter.update_audio_connection("off")
        await self.transcript.note(self._why(LineError("unreachable", "")), error=True)

    def _forget_answers(self) -> None:
        self._active.clear()
        self._wants_answer = False
        self._spoken.clear()
        self._silenced.clear()

    def _why(self, error: LineError) -> str:
        code = error.code
        if code == "invalid_api_key" and self._place.keyed:
            code = "invalid_api_key_keyed"
        known = code if code in self._words else "refused"
        return self._words[known].format(url=self._place.kaiwa, detail=error)

    async def _send(self, event: Event) -> None:
        if self._line is not None:
            await self.events_view.note("→", event)
            await self._line.send(event)

    async def _tell_choice(self, *, first: bool) -> None:
        transcription = self._place.transcription
        await self._send(
            sessions.update(self.choice, voice_on=self._voice_on, transcription=transcription, first=first)
        )

    async def _ask(self) -> None:
        if self._active:
            self._wants_answer = True
        else:
            await self._send({"type": "response.create"})

    # Silence

    async def _fall_silent(self, *, tell_page: bool = True) -> None:
        """Stop the page's sound at once; strike, and tell kaiwa, what was not heard."""
        now = time.monotonic()
        cut = self._playing.stop(now)
        if self._voice_on and tell_page:
            self._track = uuid.uuid4().hex
            await context.emitter.send_audio_interrupt()
        for item in cut:
            self._silenced.add(item.item_id)
            heard_ms = item.heard_ms(now)
            await self.transcript.agent_cut(item.item_id, item.letters_heard(heard_ms))
            await self._send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": item.item_id,
                    "content_index": 0,
                    "audio_end_ms": heard_ms,
                }
            )

    # What kaiwa tells

    async def _speech_started(self, event: Event) -> None:
        await self._fall_silent()

    async def _committed(self, event: Event) -> None:
        await self.transcript.caller_speaks(event["item_id"])

    async def _caller_delta(self, event: Event) -> None:
        await self.transcript.caller_words(event["item_id"], event["delta"])

    async def _caller_done(self, event: Event) -> None:
        await self.transcript.caller_done(event["item_id"], event.get("transcript", ""))

    async def _response_created(self, event: Event) -> None:
        self._active.add(event["response"]["id"])

    async def _agent_text(self, event: Event) -> None:
        item_id = event["item_id"]
        if item_id not in self._silenced:
            self._item(item_id).add_text(event["delta"])
            await self.transcript.agent_words(item_id, event["delta"])

    async def _agent_sound(self, event: Event) -> None:
        item_id = event["item_id"]
        if item_id in self._silenced or not self._voice_on:
            return
        sound = base64.b64decode(event["delta"])
        self._playing.give(self._item(item_id), len(sound), time.monotonic())
        await context.emitter.send_audio_chunk(
            cl.OutputAudioChunk(mimeType="pcm16", data=sound, track=self._track)
        )

    async def _item_done(self, event: Event) -> None:
        item = event["item"]
        if item["type"] == "function_call" and item.get("status") != "incomplete":
            await self.transcript.tool_called(item)
        elif item["type"] == "message":
            await self.transcript.agent_done(item["id"])

    async def _item_added(self, event: Event) -> None:
        item = event["item"]
        if item["type"] == "function_call_output":
            await self.transcript.tool_done(item["call_id"], item["output"])

    async def _progressed(self, event: Event) -> None:
        await self.transcript.tool_progressed(event["call_id"], event["fraction"], event.get("text", ""))

    async def _response_done(self, event: Event) -> None:
        response = event["response"]
        self._active.discard(response["id"])
        for item in response.get("output", []):
            spoken = self._spoken.get(item.get("id", ""))
            if spoken is not None and response["status"] == "cancelled" and self._voice_on:
                heard = spoken.letters_heard(spoken.heard_ms(time.monotonic()))
                await self.transcript.agent_cut(spoken.item_id, heard)
        if response["status"] == "failed":
            error = (response.get("status_details") or {}).get("error") or {}
            await self._say_server(error.get("message", ""))
        if self._wants_answer and not self._active:
            self._wants_answer = False
            await self._send({"type": "response.create"})

    async def _error(self, event: Event) -> None:
        error = event["error"]
        if error.get("code") == TAKEN:
            self._wants_answer = True
        elif error.get("code") not in HARMLESS:
            await self._say_server(error.get("message", ""))

    async def _say_server(self, detail: str) -> None:
        await self.transcript.note(self._words["server_said"].format(detail=detail), error=True)

    def _item(self, item_id: str) -> Spoken:
        return self._spoken.setdefault(item_id, Spoken(item_id))


_TAKES: dict[str, Callable[[Talk, Event], Awaitable[None]]] = {
    "input_audio_buffer.speech_started": Talk._speech_started,
    "input_audio_buffer.committed": Talk._committed,
    "conversation.item.input_audio_transcription.delta": Talk._caller_delta,
    "conversation.item.input_audio_transcription.completed": Talk._caller_done,
    "conversation.item.input_audio_transcription.failed": Talk._caller_done,
    "response.created": Talk._response_created,
    "response.output_text.delta": Talk._agent_text,
    "response.output_audio_transcript.delta": Talk._agent_text,
    "response.output_audio.delta": Talk._agent_sound,
    "response.output_item.done": Talk._item_done,
    "conversation.item.added": Talk._item_added,
    "kaiwa.tool.progress": Talk._progressed,
    "response.done": Talk._response_done,
    "error": Talk._error,
}
