"""A scripted caller: keeps the history as a session would and answers the model's calls from plain functions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jsonschema

from kaiwa.engines.chat import ChatArguments, ChatCall, ChatEnd, ChatRequest, ChatText
from kaiwa.engines.dialogue import DialogueModel
from kaiwa.events.items import FunctionCall, FunctionCallOutput, InputAudio, Item, Message, OutputAudio
from kaiwa.events.tools import ToolSpec

NOW = datetime.fromisoformat("2026-11-21T09:30:00+09:00")
Handler = Callable[[dict[str, Any]], Any]


def tool(
    name: str, description: str, required: str = "", changes: bool | None = None, /, **properties: Any
) -> ToolSpec:
    """Describe a tool; `required` names its required properties with blanks between."""
    schema = {"type": "object", "properties": properties, "required": required.split()}
    return ToolSpec(name=name, description=description, parameters=schema, changes=changes)


class Caller:
    """One conversation with the model: `say` returns what it spoke, `calls` what it called."""

    def __init__(
        self, tools: dict[ToolSpec, Handler] | list[tuple[ToolSpec, Handler]], **settings: Any
    ) -> None:
        pairs = tools if isinstance(tools, list) else list(tools.items())
        self.specs = tuple(spec for spec, _ in pairs)
        self.handlers = {spec.name: handler for spec, handler in pairs}
        self.schemas = {spec.name: spec.parameters for spec in self.specs}
        self.history: list[Item] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.settings = settings
        self.model = DialogueModel()

    def request(self, **changes: Any) -> ChatRequest:
        settings = {"now": NOW, **self.settings, **changes}
        return ChatRequest(history=tuple(self.history), tools=self.specs, **settings)

    def say(self, text: str) -> str:
        """Speak, then let the model answer and call until it rests; return all it said."""
        self.history.append(Message(role="user", content=(InputAudio(transcript=text),)))
        return self.listen()

    def listen(self) -> str:
        spoken = ""
        for _ in range(6):
            text, calls = self.respond()
            spoken += f" {text}" if spoken else text
            if not calls:
                return spoken
            for call, call_id in calls:
                self.answer(call, call_id)
        raise AssertionError(f"the model called without end: {self.calls}")

    def respond(self, **changes: Any) -> tuple[str, list[tuple[ChatCall, str]]]:
        """Take one response into the history; calls are left without an output."""
        text, calls, deltas, ended = "", [], {}, 0
        for event in collected(self.model, self.request(**changes)):
            assert not ended, "nothing comes after the end"
            if isinstance(event, ChatText):
                text += event.text
            elif isinstance(event, ChatArguments):
                deltas[event.index] = deltas.get(event.index, "") + event.delta
            elif isinstance(event, ChatCall):
                calls.append(event)
            else:
                ended += 1
        assert ended == 1
        assert deltas == {call.index: call.arguments for call in calls}
        if text:
            self.history.append(Message(role="assistant", content=(OutputAudio(transcript=text),)))
        return text, [(call, self._record(call)) for call in calls]

    def _record(self, call: ChatCall) -> str:
        call_id = f"call_{len(self.calls) + 1}"
        arguments = json.loads(call.arguments)
        jsonschema.validate(arguments, self.schemas[call.name])
        self.calls.append((call.name, arguments))
        self.history.append(FunctionCall(name=call.name, call_id=call_id, arguments=call.arguments))
        return call_id

    def answer(self, call: ChatCall, call_id: str) -> None:
        output = self.handlers[call.name](json.loads(call.arguments))
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        self.history.append(FunctionCallOutput(call_id=call_id, output=text))


def collected(model: DialogueModel, request: ChatRequest) -> list[Any]:
    async def run() -> list[Any]:
        return [event async for event in model.generate(request)]

    events = asyncio.run(run())
    assert isinstance(events[-1], ChatEnd)
    return events
