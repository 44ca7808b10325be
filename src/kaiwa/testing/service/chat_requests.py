"""What a request to the stand-in's chat asks for, in either API. Lenient: the services' checks are few here.

Knows bodies; knows no addresses and no answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import msgspec

from kaiwa.testing.service.script import Answer, Call, Script


@dataclass(frozen=True, slots=True)
class Asked:
    """`newest` is the role of the last message, `words` what it holds; `forced` a tool to be called."""

    model: str
    newest: str
    words: str
    read_tokens: int
    stream: bool
    usage: bool
    limit: int | None
    forced: str | None

    def answers(self, script: Script) -> tuple[Answer, ...]:
        if self.newest == "tool":
            return script.answers_to_result(self.words)
        return (Call(name=self.forced),) if self.forced else script.answers(self.words)


def read_object(body: str) -> dict[str, Any]:
    """Return the body's JSON object. Raises ValueError."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as wrong:
        raise ValueError("We could not parse the JSON body of your request.") from wrong


def asked_in_chat(body: dict[str, Any]) -> Asked:
    """Raises ValueError with what is wrong."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError("'messages' must be a list with at least one message.")
    known = [cast(dict[str, Any], one) for one in cast(list[Any], messages) if isinstance(one, dict)]
    newest = known[-1] if known else {}
    options: Any = body.get("stream_options") or {}
    return Asked(
        model=str(body.get("model") or ""),
        newest=str(newest.get("role")),
        words=_words(newest.get("content")),
        read_tokens=sum(len(_words(message.get("content")).split()) + 3 for message in known),
        stream=bool(body.get("stream")),
        usage=bool(options.get("include_usage")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        forced=_forced(body),
    )


def asked_of_responses(body: dict[str, Any]) -> Asked:
    """Raises ValueError with what is wrong."""
    given = body.get("input")
    items = cast(list[Any], given) if isinstance(given, list) else [{"role": "user", "content": given}]
    newest = cast(dict[str, Any], items[-1]) if items and isinstance(items[-1], dict) else None
    if newest is None or given in (None, ""):
        raise ValueError("'input' must be a text or a list of items.")
    is_output = newest.get("type") == "function_call_output"
    words = _words(newest.get("output" if is_output else "content"))
    return Asked(
        model=str(body.get("model") or ""),
        newest="tool" if is_output else "user",
        words=words,
        read_tokens=len(words.split()) + 3 * len(items),
        stream=bool(body.get("stream")),
        usage=True,
        limit=body.get("max_output_tokens"),
        forced=_forced(body),
    )


def _words(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in cast(list[Any], content))
    return content if isinstance(content, str) else ""


def _forced(body: dict[str, Any]) -> str | None:
    """Return the name of the tool that `tool_choice` demands, in either API's form."""
    choice: Any = body.get("tool_choice")
    if isinstance(choice, dict):
        named = cast(dict[str, Any], choice)
        return (named.get("function") or named).get("name")
    tools: list[Any] = body.get("tools") or []
    if choice == "required" and tools:
        return (tools[0].get("function") or tools[0]).get("name")
    return None
