"""Conversation items as chat messages. Knows both vocabularies; does not send anything.

Chat completions want every tool call answered right behind the message that made it. A conversation is
freer: people talk while a tool runs. A call whose result is not directly behind it gets a placeholder
there, and the late result follows as a system note where it arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from kaiwa.events.config import ForcedFunction, ForcedMcp, ToolChoice
from kaiwa.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
)
from kaiwa.events.tools import ToolProgress, ToolSpec

ChatMessage = dict[str, Any]
PENDING = "pending: the call is still running; its result will follow"
NOT_UNDERSTOOD = "(no words were recognised)"


def chat_messages(
    system: str, history: Sequence[Item], progress: Sequence[ToolProgress] = ()
) -> list[ChatMessage]:
    """Translate the history, oldest first, behind one system message. `progress` is of running calls."""
    known = {report.call_id: report for report in progress}
    messages: list[ChatMessage] = [{"role": "system", "content": system}] if system else []
    names: dict[str, str] = {}
    position = 0
    while position < len(history):
        item = history[position]
        if isinstance(item, FunctionCall):
            end = _end_of_exchange(history, position)
            messages.extend(_exchange(history[position:end], position, names, known))
            position = end
            continue
        if isinstance(item, FunctionCallOutput):
            messages.append(_late_result(item, names))
        elif (message := _spoken(item)) is not None:
            messages.append(message)
        position += 1
    return messages


def chat_tools(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters or {"type": "object", "properties": {}},
            },
        }
        for tool in tools
    ]


def chat_tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    match choice:
        case ForcedFunction(name=name):
            return {"type": "function", "function": {"name": name}}
        case ForcedMcp():
            return "required"
        case _:
            return choice


def _end_of_exchange(history: Sequence[Item], start: int) -> int:
    """Return where the calls from `start`, and their results right behind them, end."""
    end = start
    while end < len(history) and isinstance(history[end], FunctionCall):
        end += 1
    while end < len(history) and isinstance(history[end], FunctionCallOutput):
        end += 1
    return end


def _exchange(
    items: Sequence[Item], position: int, names: dict[str, str], progress: Mapping[str, ToolProgress]
) -> list[ChatMessage]:
    calls = {
        _call_id(item, position + n): item for n, item in enumerate(items) if isinstance(item, FunctionCall)
    }
    names.update({call_id: call.name for call_id, call in calls.items()})
    outputs = {item.call_id: item.output for item in items if isinstance(item, FunctionCallOutput)}
    late = [item for item in items if isinstance(item, FunctionCallOutput) and item.call_id not in calls]
    requests = [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments or "{}"},
        }
        for call_id, call in calls.items()
    ]
    answers: list[ChatMessage] = [
        {
            "role": "tool",
            "tool_call_id": call_id,
            "content": outputs.get(call_id, _pending(call_id, progress)),
        }
        for call_id in calls
    ]
    request: ChatMessage = {"role": "assistant", "content": None, "tool_calls": requests}
    return [request, *answers, *(_late_result(item, names) for item in late)]


def _pending(call_id: str, progress: Mapping[str, ToolProgress]) -> str:
    report = progress.get(call_id)
    return PENDING if report is None else f"{PENDING} (so far {report.fraction:.0%}: {report.text})"


def _late_result(output: FunctionCallOutput, names: dict[str, str]) -> ChatMessage:
    name = names.get(output.call_id, "an earlier call")
    return {
        "role": "system",
        "content": f"The result of {name} ({output.call_id}) has arrived: {output.output}",
    }


def _call_id(call: FunctionCall, position: int) -> str:
    return f"call_{position}" if call.call_id is UNSET else call.call_id


def _spoken(message: Message) -> ChatMessage | None:
    """Return the words of a message, or None when it holds nothing but images or silence of our own."""
    words: list[str] = []
    for part in message.content:
        match part:
            case InputText(text=text) | OutputText(text=text):
                words.append(text)
            case OutputAudio(transcript=transcript):
                words.append(transcript or "")
            case InputAudio(transcript=transcript):
                words.append(transcript or NOT_UNDERSTOOD)
            case InputImage():
                continue
    content = "\n".join(word for word in words if word)
    return {"role": message.role, "content": content} if content else None
