"""A chat model behind any OpenAI-compatible endpoint: Azure OpenAI, OpenAI, Ollama, llama.cpp, vLLM.

Knows how an answer is put together from chunks; does not know HTTP, audio or the session.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from datetime import datetime
from typing import Any, Literal, Protocol

from kaiwa.engines.chat import ChatArguments, ChatCall, ChatEnd, ChatEvent, ChatRequest, ChatText, Expectation
from kaiwa.errors import SERVER_ERROR, UpstreamError
from kaiwa.events.response import FailureDetail
from kaiwa.events.usage import Usage
from kaiwa.upstream.chunks import Chunk, ToolCallDelta, usage_of
from kaiwa.upstream.messages import chat_messages, chat_tool_choice, chat_tools

log = logging.getLogger(__name__)


class Completions(Protocol):
    """Who streams completions: one endpoint, or a pool of deployments."""

    @property
    def limit_field(self) -> str:
        """What the service calls the longest answer."""
        ...

    def stream(self, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yield chunks until the end; closing it closes the request. Raises UpstreamError."""
        ...

    async def close(self) -> None: ...


class CompatibleChatModel:
    """Fits `kaiwa.engines.chat.ChatModel`. One instance serves all conversations."""

    def __init__(self, client: Completions) -> None:
        self._client = client

    async def generate(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Answer. Closing the iterator early closes the request upstream. Raises nothing: see ChatEnd."""
        answer = _Answer()
        try:
            async with aclosing(self._client.stream(self._body(request))) as chunks:
                async for chunk in chunks:
                    for event in answer.take(chunk):
                        yield event
        except UpstreamError as error:
            log.warning("chat failed", extra={"code": error.code, "retryable": error.retryable})
            yield answer.failed(error)
            return
        for event in answer.end():
            yield event

    def expect(self, request: ChatRequest) -> Expectation:
        """A remote model does not say what it is waiting for."""
        return Expectation()

    async def close(self) -> None:
        await self._client.close()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        system = f"{_today(request.now)}\n\n{request.instructions}".strip()
        body: dict[str, Any] = {"messages": chat_messages(system, request.history, request.progress)}
        if request.tools:
            body["tools"] = chat_tools(request.tools)
            body["tool_choice"] = chat_tool_choice(request.tool_choice)
        if request.max_output_tokens != "inf":
            body[self._client.limit_field] = request.max_output_tokens
        return body


def _today(now: datetime) -> str:
    """Models do not know the date; "next Saturday" needs it."""
    offset = now.strftime("%z")
    zone = getattr(now.tzinfo, "key", None) or f"UTC{offset[:3]}:{offset[3:5]}"
    return f"It is {now:%A}, {now:%Y-%m-%d}, {now:%H:%M} ({zone})."


class _PartialCall:
    """A tool call whose arguments are still coming."""

    def __init__(self) -> None:
        self.name = ""
        self.arguments = ""
        self.call_id: str | None = None


class _Answer:
    """Puts one answer together from its chunks."""

    def __init__(self) -> None:
        self._calls: dict[int, _PartialCall] = {}
        self._finish: str | None = None
        self._usage: Usage | None = None

    def take(self, chunk: Chunk) -> Iterator[ChatEvent]:
        if chunk.usage is not None:
            self._usage = usage_of(chunk.usage)
        for choice in (chunk.choices or ())[:1]:
            if choice.delta is not None:
                if text := choice.delta.content or choice.delta.refusal:
                    yield ChatText(text=text)
                for piece in choice.delta.tool_calls or ():
                    yield from self._take_call(piece)
            self._finish = choice.finish_reason or self._finish

    def _take_call(self, piece: ToolCallDelta) -> Iterator[ChatEvent]:
        index = self._index_of(piece)
        call = self._calls.setdefault(index, _PartialCall())
        call.call_id = piece.id or call.call_id
        if piece.function is None:
            return
        call.name = call.name or piece.function.name or ""
        if piece.function.arguments:
            call.arguments += piece.function.arguments
            yield ChatArguments(index=index, name=call.name, delta=piece.function.arguments)

    def _index_of(self, piece: ToolCallDelta) -> int:
        if piece.index is not None:
            return piece.index
        last = max(self._calls, default=-1)
        if piece.id is None and last >= 0:
            return last  # no index, no id: the call goes on
        known = [index for index, call in self._calls.items() if call.call_id == piece.id]
        return known[0] if known else last + 1

    def end(self) -> Iterator[ChatEvent]:
        """Hand out the calls that are complete, then the end."""
        reason = self._reason()
        if reason == "completed":
            for index, call in sorted(self._calls.items()):
                yield ChatCall(
                    index=index, name=call.name, arguments=call.arguments or "{}", call_id=call.call_id
                )
        yield ChatEnd(reason=reason, usage=self._usage)

    def failed(self, error: UpstreamError) -> ChatEnd:
        if error.code == "content_filter":
            return ChatEnd(reason="content_filter", usage=self._usage)
        detail = FailureDetail(type=SERVER_ERROR, code=error.code, message=error.message)
        return ChatEnd(reason="failed", usage=self._usage, error=detail)

    def _reason(self) -> Literal["completed", "max_output_tokens", "content_filter"]:
        match self._finish:
            case "length":
                return "max_output_tokens"
            case "content_filter":
                return "content_filter"
            case _:
                return "completed"
