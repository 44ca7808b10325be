"""Answers of the Responses API on their way out: its items, its events, and one answer as it is told. Pure.

Source: OpenAI API reference, "Responses" and "Streaming events". Nothing is stored, so `store` is false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from kaiwa.protocol.chat.answers import ChatUsage

Status = Literal["in_progress", "completed", "incomplete", "failed"]


class OutputText(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["output_text"] = "output_text"
    text: str = ""
    annotations: list[Any] = []
    logprobs: list[Any] = []


class OutputMessage(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["message"] = "message"
    id: str
    status: Status
    role: Literal["assistant"] = "assistant"
    content: tuple[OutputText, ...] = ()


class FunctionCallMade(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["function_call"] = "function_call"
    id: str
    call_id: str
    name: str
    arguments: str = ""
    status: Status


OutputItem = OutputMessage | FunctionCallMade


class InputDetails(msgspec.Struct, frozen=True, kw_only=True):
    cached_tokens: int = 0


class OutputDetails(msgspec.Struct, frozen=True, kw_only=True):
    reasoning_tokens: int = 0


class ResponseUsage(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int
    output_tokens_details: OutputDetails = OutputDetails()
    total_tokens: int


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer repeats of its request."""

    instructions: str | None = None
    max_output_tokens: int | None = None
    tools: list[Any] = []
    tool_choice: Any = "auto"
    metadata: dict[str, Any] = {}


class TextFormat(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["text"] = "text"


class TextSettings(msgspec.Struct, frozen=True, kw_only=True):
    format: TextFormat = TextFormat()


class ResponseObject(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    error: dict[str, str] | None = None
    incomplete_details: dict[str, str] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, Any] = {}
    model: str
    output: tuple[OutputItem, ...] = ()
    parallel_tool_calls: bool = True
    previous_response_id: None = None
    store: Literal[False] = False
    temperature: float = 1.0
    text: TextSettings = TextSettings()
    tool_choice: Any = "auto"
    tools: list[Any] = []
    top_p: float = 1.0
    truncation: str = "disabled"
    usage: ResponseUsage | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    sequence_number: int


class OfResponse(_Event, frozen=True, kw_only=True):
    response: ResponseObject


class OfItem(_Event, frozen=True, kw_only=True):
    output_index: int
    item: OutputItem


class OfPart(_Event, frozen=True, kw_only=True):
    item_id: str
    output_index: int
    content_index: int = 0
    part: OutputText


class TextDelta(_Event, frozen=True, kw_only=True):
    item_id: str
    output_index: int
    content_index: int = 0
    delta: str
    logprobs: list[Any] = []


class TextDone(_Event, frozen=True, kw_only=True):
    item_id: str
    output_index: int
    content_index: int = 0
    text: str
    logprobs: list[Any] = []


class ArgumentsDelta(_Event, frozen=True, kw_only=True):
    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(_Event, frozen=True, kw_only=True):
    item_id: str
    output_index: int
    name: str
    arguments: str


ResponseEvent = OfResponse | OfItem | OfPart | TextDelta | TextDone | ArgumentsDelta | ArgumentsDone


class ResponseWriter:
    """One answer: told event by event, and whole in `response` once it has ended."""

    def __init__(self, id: str, model: str, created: int, asked: Asked, new_id: Callable[[str], str]) -> None:
        self.response = ResponseObject(
            id=id,
            created_at=created,
            status="in_progress",
            model=model,
            instructions=asked.instructions,
            max_output_tokens=asked.max_output_tokens,
            tools=asked.tools,
            tool_choice=asked.tool_choice,
            metadata=asked.metadata,
        )
        self._new_id = new_id
        self._count = -1
        self._items: list[OutputItem] = []
        self._open: OutputItem | None = None
        self._pieces: list[str] = []

    def begin(self) -> Iterator[ResponseEvent]:
        yield self._whole("response.created")
        yield self._whole("response.in_progress")

    def text(self, piece: str) -> Iterator[ResponseEvent]:
        """More words; the first open a message."""
        if not isinstance(self._open, OutputMessage):
            yield from self._close("completed")
            self._open = OutputMessage(id=self._new_id("msg"), status="in_progress")
            yield self._item("response.output_item.added", self._open)
            yield self._part("response.content_part.added", self._open.id, OutputText())
        self._pieces.append(piece)
        yield TextDelta(
            type="response.output_text.delta",
            sequence_number=self._number(),
            item_id=self._open.id,
            output_index=self._index,
            delta=piece,
        )

    def call(self, call_id: str, name: str) -> Iterator[ResponseEvent]:
        """Begin a call; its arguments follow."""
        yield from self._close("completed")
        self._open = FunctionCallMade(id=self._new_id("fc"), call_id=call_id, name=name, status="in_progress")
        yield self._item("response.output_item.added", self._open)

    def arguments(self, piece: str) -> Iterator[ResponseEvent]:
        assert isinstance(self._open, FunctionCallMade), "arguments belong to a call that has begun"
        self._pieces.append(piece)
        yield ArgumentsDelta(
            type="response.function_call_arguments.delta",
            sequence_number=self._number(),
            item_id=self._open.id,
            output_index=self._index,
            delta=piece,
        )

    def end(
        self, usage: ChatUsage, *, incomplete: str | None = None, error: dict[str, str] | None = None
    ) -> Iterator[ResponseEvent]:
        """Close what is open and tell the whole: completed, or why it is `incomplete` or failed."""
        status: Status = "failed" if error else "incomplete" if incomplete else "completed"
        yield from self._close("completed" if status == "completed" else "incomplete")
        self.response = msgspec.structs.replace(
            self.response,
            status=status,
            error=error,
            incomplete_details={"reason": incomplete} if incomplete else None,
            output=tuple(self._items),
            usage=ResponseUsage(
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
                total_tokens=usage.total_tokens,
            ),
        )
        yield self._whole(f"response.{status}")

    @property
    def _index(self) -> int:
        return len(self._items)

    def _close(self, status: Status) -> Iterator[ResponseEvent]:
        item, whole = self._open, "".join(self._pieces)
        if item is None:
            return
        if isinstance(item, OutputMessage):
            yield TextDone(
                type="response.output_text.done",
                sequence_number=self._number(),
                item_id=item.id,
                output_index=self._index,
                text=whole,
            )
            part = OutputText(text=whole)
            yield self._part("response.content_part.done", item.id, part)
            item = msgspec.structs.replace(item, status=status, content=(part,))
        else:
            yield ArgumentsDone(
                type="response.function_call_arguments.done",
                sequence_number=self._number(),
                item_id=item.id,
                output_index=self._index,
                name=item.name,
                arguments=whole,
            )
            item = msgspec.structs.replace(item, status=status, arguments=whole)
        yield self._item("response.output_item.done", item)
        self._items.append(item)
        self._open, self._pieces = None, []

    def _whole(self, kind: str) -> OfResponse:
        return OfResponse(type=kind, sequence_number=self._number(), response=self.response)

    def _item(self, kind: str, item: OutputItem) -> OfItem:
        return OfItem(type=kind, sequence_number=self._number(), output_index=self._index, item=item)

    def _part(self, kind: str, item_id: str, part: OutputText) -> OfPart:
        return OfPart(
            type=kind,
            sequence_number=self._number(),
            item_id=item_id,
            output_index=self._index,
            part=part,
        )

    def _number(self) -> int:
        self._count += 1
        return self._count
