"""What an engine needs of a chat model: text in, text and tool calls out. No audio, no session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal, Protocol

from kaiwa.events.config import MaxTokens, ToolChoice
from kaiwa.events.items import Item
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import ToolProgress, ToolSpec
from kaiwa.events.usage import Usage
from kaiwa.events.value import Value


class ChatRequest(Value, kw_only=True):
    """Everything a model may know for one answer.

    `history` is oldest first; every user audio part has its transcript filled in ("" when no words were
    recognised); a function call without output is still running. `now` is aware, in the caller's time zone.
    `language` is a hint ("ja", "en") or None: take it from what the user said.
    """

    history: tuple[Item, ...]
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxTokens = "inf"
    language: str | None = None
    progress: tuple[ToolProgress, ...] = ()
    now: datetime


class ChatText(Value, kw_only=True):
    text: str


class ChatArguments(Value, kw_only=True):
    """A piece of a call's JSON arguments; `index` tells parallel calls apart."""

    index: int
    name: str
    delta: str


class ChatCall(Value, kw_only=True):
    """A call is complete. `call_id` is the model's own, if it gives one.

    `confirmed`: the model has read these very arguments back and heard the caller agree.
    """

    index: int
    name: str
    arguments: str
    call_id: str | None = None
    confirmed: bool = False


class ChatEnd(Value, kw_only=True):
    """Always the last event."""

    reason: Literal["completed", "max_output_tokens", "content_filter", "failed"] = "completed"
    usage: Usage | None = None
    error: FailureDetail | None = None


ChatEvent = ChatText | ChatArguments | ChatCall | ChatEnd


class Expectation(Value, kw_only=True):
    """What the next user turn probably holds; helps recognition and the end-of-turn decision.

    `kind` is the slot just asked for; `vocabulary` are words likely to be said, in their written form.
    """

    kind: Literal["open", "date", "time", "number", "name", "choice", "confirm", "id"] = "open"
    vocabulary: tuple[str, ...] = ()


class ChatModel(Protocol):
    def generate(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Answer. Closing the iterator early cancels the work behind it. Raises nothing: see ChatEnd."""
        ...

    def expect(self, request: ChatRequest) -> Expectation:
        """Say what the user will probably say next, given the history so far."""
        ...
