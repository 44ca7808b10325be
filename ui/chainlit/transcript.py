"""What both sides said and what the tools did, as Chainlit shows and keeps it. Knows nothing of sockets.

Every item of the conversation has one message, whatever events tell of it, so nothing is shown twice. `steps`
is the same as Chainlit's persisted steps: what an agent can be told again.
"""

from __future__ import annotations

import json
from typing import Any

from chainlit.context import context
from chainlit.utils import utc_now
from playing import struck

import chainlit as cl

BAR = 20


class Transcript:
    def __init__(self, words: dict[str, str], steps: list[dict[str, Any]] | None = None) -> None:
        self._words = words
        self.steps = steps or []
        self._named = bool(steps)
        self._messages: dict[str, cl.Message] = {}
        self._texts: dict[str, str] = {}
        self._tools: dict[str, cl.Step] = {}

    async def typed(self, message: cl.Message) -> None:
        """Chainlit shows a typed message itself; it only is remembered here."""
        self._remember(message)
        await self._name_thread(message.content)

    async def caller_speaks(self, item_id: str) -> None:
        await self._message(item_id, "user_message", self._words["hearing"])

    async def caller_words(self, item_id: str, delta: str) -> None:
        message = await self._message(item_id, "user_message", "")
        self._texts[item_id] = self._texts.get(item_id, "") + delta
        await message.stream_token(self._texts[item_id], is_sequence=True)

    async def caller_done(self, item_id: str, text: str) -> None:
        """The final words; a sound without any leaves no message."""
        message = await self._message(item_id, "user_message", "")
        message.content = text.strip()
        if not message.content:
            self._forget(message)
            await message.remove()
            return
        await self._name_thread(message.content)
        await self._update(message)

    async def agent_words(self, item_id: str, delta: str) -> None:
        message = await self._message(item_id, "assistant_message", "")
        await message.stream_token(delta)
        self._remember(message)

    async def agent_done(self, item_id: str) -> None:
        message = self._messages.get(item_id)
        if message is not None and "heard" not in (message.metadata or {}):
            await self._update(message)

    async def agent_cut(self, item_id: str, letters_heard: int) -> None:
        """Strike what was not heard of an answer, once."""
        message = self._messages.get(item_id)
        if message is None or "heard" in (message.metadata or {}):
            return
        text = message.content
        if letters_heard >= len(text.rstrip()):
            return
        message.metadata = {**(message.metadata or {}), "heard": text[:letters_heard]}
        message.content = struck(text, letters_heard)
        await self._update(message)

    async def note(self, text: str, *, error: bool = False) -> None:
        """Tell the visitor something that is no part of the talk."""
        message = cl.ErrorMessage(text, author=self._words["author"]) if error else cl.Message(text)
        message.metadata = {"aside": True}
        await message.send()

    async def tool_called(self, item: dict[str, Any]) -> None:
        call_id = item["call_id"]
        if call_id in self._tools:
            return
        step = cl.Step(name=item["name"], type="tool", show_input="json", default_open=True)
        step.parent_id = None
        step.metadata = {"call_id": call_id, "arguments": item.get("arguments") or "{}"}
        step.input = _readable(item.get("arguments") or "{}")
        step.output = _bar(0, self._words["running"])
        step.start = utc_now()
        self._tools[call_id] = step
        await step.send()
        self._remember(step)

    async def tool_progressed(self, call_id: str, fraction: float, text: str) -> None:
        step = self._tools.get(call_id)
        if step is not None and step.end is None:
            step.output = _bar(fraction, text or self._words["running"])
            await step.update()

    async def tool_done(self, call_id: str, output: str) -> None:
        step = self._tools.get(call_id)
        if step is None or step.end is not None:
            return
        step.metadata["result"] = output
        step.is_error = _failed(output)
        step.output = _block(output)
        step.end = utc_now()
        await step.update()
        self._remember(step)

    async def tools_lost(self) -> None:
        """The line broke: nobody will tell how these ended."""
        for step in self._tools.values():
            if step.end is None:
                step.is_error, step.output, step.end = True, self._words["lost"], utc_now()
                await step.update()
                self._remember(step)

    async def _message(self, item_id: str, kind: Any, content: str) -> cl.Message:
        message = self._messages.get(item_id)
        if message is None:
            author = (
                context.session.user.identifier if kind == "user_message" and context.session.user else None
            )
            message = cl.Message(content, author=author or self._words["author"], type=kind)
            message.parent_id = None
            message.created_at = utc_now()
            self._messages[item_id] = message
            await message.send()
            self._remember(message)
        return message

    async def _name_thread(self, words: str) -> None:
        """Name a talk by its first words: Chainlit does so for typed ones, and calls others "audio"."""
        if self._named:
            return
        self._named = True
        session = context.session
        session.has_first_interaction = True
        await context.emitter.init_thread(words)

    async def _update(self, message: cl.Message) -> None:
        await message.update()
        self._remember(message)

    def _remember(self, one: cl.Message | cl.Step) -> None:
        step: dict[str, Any] = dict(one.to_dict())
        for place, known in enumerate(self.steps):
            if known["id"] == step["id"]:
                self.steps[place] = step
                return
        self.steps.append(step)

    def _forget(self, message: cl.Message) -> None:
        self.steps[:] = [step for step in self.steps if step["id"] != message.id]


def _bar(fraction: float, text: str) -> str:
    full = round(max(0.0, min(1.0, fraction)) * BAR)
    return f"`{'█' * full}{'░' * (BAR - full)}` {fraction:.0%}  {text}"


def _readable(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _block(output: str) -> str:
    value = _readable(output)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return f"```json\n{text}\n```"


def _failed(output: str) -> bool:
    value = _readable(output)
    return isinstance(value, dict) and ("error" in value or value.get("success") is False)
