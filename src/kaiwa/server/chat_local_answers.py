"""From what a chat model says to the events and bodies of chat completions and of responses.

Knows both shapes and a model's events; knows neither HTTP nor which model it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import msgspec

from kaiwa.engines.chat import ChatArguments, ChatCall, ChatEnd, ChatEvent, ChatText
from kaiwa.errors import SERVER_ERROR, UpstreamError
from kaiwa.events.response import FailureDetail
from kaiwa.protocol import sse
from kaiwa.protocol.chat.answers import (
    CallAnswered,
    ChatChunk,
    ChatUsage,
    ChunkWriter,
    FinishReason,
    completion,
    usage_of,
)
from kaiwa.protocol.chat.requests import Question
from kaiwa.protocol.chat.responses import Asked, ResponseEvent, ResponseWriter

Ids = Callable[[str], str]
_encoder: Final = msgspec.json.Encoder()
_INCOMPLETE: Final = {"max_output_tokens": "max_output_tokens", "content_filter": "content_filter"}
_BROKEN: Final = FailureDetail(type=SERVER_ERROR, code="model_failed", message="The model broke off.")


class Telling(Protocol):
    """One answer on its way out, told in pieces and whole. `ChatEnd` is the last event that it takes."""

    def begin(self) -> Iterable[bytes]: ...

    def take(self, event: ChatEvent) -> Iterable[bytes]: ...

    def whole(self) -> bytes:
        """Return the body after the end. Raises UpstreamError for an answer that failed."""
        ...


class ChatTelling:
    """A chat completion."""

    def __init__(self, question: Question, model: str, new_id: Ids, created: int) -> None:
        self._id = new_id("chatcmpl").replace("_", "-", 1)
        self._model, self._created, self._new_id = model, created, new_id
        self._writer = ChunkWriter(self._id, model, created, usage=question.usage)
        self._tells_usage = question.usage
        self._calls = _Calls(new_id, parallel=question.parallel)
        self._text: list[str] = []
        self._end: ChatEnd | None = None

    def begin(self) -> Iterator[bytes]:
        yield _data(self._writer.role())

    def take(self, event: ChatEvent) -> Iterator[bytes]:
        match event:
            case ChatText(text=text):
                self._text.append(text)
                yield _data(self._writer.text(text))
            case ChatArguments() | ChatCall():
                for index, begun, piece in self._calls.take(event):
                    if begun is not None:
                        yield _data(self._writer.call(index, begun.call_id, begun.name))
                    if piece:
                        yield _data(self._writer.arguments(index, piece))
            case ChatEnd():
                self._end = event
                yield from self._last(event)

    def whole(self) -> bytes:
        end = _good_end(self._end)
        answer = completion(
            self._id,
            self._model,
            self._created,
            text="".join(self._text),
            calls=self._calls.made,
            finish=self._finish(end),
            usage=_usage(end),
        )
        return _encoder.encode(answer)

    def _last(self, end: ChatEnd) -> Iterator[bytes]:
        if end.reason == "failed":
            yield _error(end)
            return
        yield _data(self._writer.finish(self._finish(end)))
        if self._tells_usage:
            yield _data(self._writer.usage(_usage(end)))
        yield sse.event("[DONE]")

    def _finish(self, end: ChatEnd) -> FinishReason:
        match end.reason:
            case "max_output_tokens":
                return "length"
            case "content_filter":
                return "content_filter"
            case _:
                return "tool_calls" if self._calls.made else "stop"


class ResponseTelling:
    """An answer of the Responses API. `asked` is what it repeats of its request."""

    def __init__(self, question: Question, asked: Asked, model: str, new_id: Ids, created: int) -> None:
        self._writer = ResponseWriter(new_id("resp"), model, created, asked, new_id)
        self._calls = _Calls(new_id, parallel=question.parallel)
        self._end: ChatEnd | None = None

    def begin(self) -> Iterator[bytes]:
        return _named(self._writer.begin())

    def take(self, event: ChatEvent) -> Iterator[bytes]:
        match event:
            case ChatText(text=text):
                yield from _named(self._writer.text(text))
            case ChatArguments() | ChatCall():
                for _, begun, piece in self._calls.take(event):
                    if begun is not None:
                        yield from _named(self._writer.call(begun.call_id, begun.name))
                    if piece:
                        yield from _named(self._writer.arguments(piece))
            case ChatEnd():
                self._end = event
                failure = _failure(event) if event.reason == "failed" else None
                error = failure and {"code": failure.code or "", "message": failure.message or ""}
                incomplete = _INCOMPLETE.get(event.reason)
                yield from _named(self._writer.end(_usage(event), incomplete=incomplete, error=error))

    def whole(self) -> bytes:
        _good_end(self._end)
        return _encoder.encode(self._writer.response)


class _Calls:
    """The calls of one answer: what each piece adds. Without `parallel` only the first is told."""

    def __init__(self, new_id: Ids, *, parallel: bool) -> None:
        self._new_id = new_id
        self._parallel = parallel
        self._begun: dict[int, CallAnswered] = {}

    def take(self, event: ChatArguments | ChatCall) -> Iterator[tuple[int, CallAnswered | None, str]]:
        """Yield the call's index, the call if it begins here, and more of its arguments."""
        index = event.index
        known = self._begun.get(index)
        if known is None and self._begun and not self._parallel:
            return
        if isinstance(event, ChatCall) and known is not None:
            return  # its arguments came in pieces
        piece = event.delta if isinstance(event, ChatArguments) else event.arguments
        call_id = event.call_id if isinstance(event, ChatCall) else None
        call = known or CallAnswered(call_id=call_id or self._new_id("call"), name=event.name, arguments="")
        self._begun[index] = msgspec.structs.replace(call, arguments=call.arguments + piece)
        yield index, None if known else call, piece

    @property
    def made(self) -> tuple[CallAnswered, ...]:
        return tuple(call for _, call in sorted(self._begun.items()))


def _named(events: Iterable[ResponseEvent]) -> Iterator[bytes]:
    for event in events:
        yield sse.event(_encoder.encode(event).decode(), name=event.type)


def _data(chunk: ChatChunk) -> bytes:
    return b"data: " + _encoder.encode(chunk) + b"\n\n"


def _error(end: ChatEnd) -> bytes:
    failure = _failure(end)
    error: dict[str, Any] = {
        "message": failure.message,
        "type": failure.type,
        "param": None,
        "code": failure.code,
    }
    return b"data: " + _encoder.encode({"error": error}) + b"\n\n"


def _failure(end: ChatEnd) -> FailureDetail:
    return end.error or _BROKEN


def _good_end(end: ChatEnd | None) -> ChatEnd:
    assert end is not None, "an answer is whole after its end"
    if end.reason == "failed":
        failure = _failure(end)
        raise UpstreamError(failure.code or SERVER_ERROR, failure.message or "The model failed.")
    return end


def _usage(end: ChatEnd) -> ChatUsage:
    return usage_of(0, 0) if end.usage is None else usage_of(end.usage.input_tokens, end.usage.output_tokens)
