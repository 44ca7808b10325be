"""Chat completions on their way out: chunks of a stream and whole answers. Pure; nothing is sent here.

Source: OpenAI API reference, "Chat Completions"; the fields of Azure OpenAI are absent unless given.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TokenDetails(msgspec.Struct, frozen=True, kw_only=True):
    cached_tokens: int | UnsetType = UNSET
    reasoning_tokens: int | UnsetType = UNSET
    audio_tokens: int = 0


class ChatUsage(msgspec.Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: TokenDetails = TokenDetails(cached_tokens=0)
    completion_tokens_details: TokenDetails = TokenDetails(reasoning_tokens=0)


def usage_of(prompt_tokens: int, completion_tokens: int) -> ChatUsage:
    return ChatUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """In a chunk the name comes with the first piece of the arguments only."""

    name: str | UnsetType = UNSET
    arguments: str


class CallDelta(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: Function


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | None | UnsetType = UNSET
    refusal: str | None | UnsetType = UNSET
    tool_calls: tuple[CallDelta, ...] | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`delta` is absent in the chunks of Azure's asynchronous filter."""

    index: int = 0
    delta: Delta | UnsetType = UNSET
    logprobs: None | UnsetType = None
    finish_reason: FinishReason | None = None
    content_filter_results: dict[str, Any] | UnsetType = UNSET
    content_filter_offsets: dict[str, int] | UnsetType = UNSET


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """`usage` is absent unless it was asked for; then null in all chunks but the last."""

    id: str
    object: str = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str | UnsetType = UNSET
    choices: tuple[ChunkChoice, ...]
    usage: ChatUsage | None | UnsetType = UNSET
    prompt_filter_results: list[Any] | UnsetType = UNSET


class ToolCallMade(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: Function


class AnswerMessage(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    annotations: list[Any] = []
    tool_calls: tuple[ToolCallMade, ...] | UnsetType = UNSET


class AnswerChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: FinishReason
    content_filter_results: dict[str, Any] | UnsetType = UNSET


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: str = "chat.completion"
    created: int
    model: str
    system_fingerprint: str | UnsetType = UNSET
    choices: tuple[AnswerChoice, ...]
    usage: ChatUsage
    prompt_filter_results: list[Any] | UnsetType = UNSET


class CallAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """A call as an answer holds it, in either API."""

    call_id: str
    name: str
    arguments: str


class ChunkWriter:
    """The chunks of one streamed answer. `usage`: the client asked for the chunk that tells it."""

    def __init__(self, id: str, model: str, created: int, *, usage: bool, fingerprint: str = "") -> None:
        self._id, self._model, self._created = id, model, created
        self._no_usage = None if usage else UNSET
        self._fingerprint = fingerprint or UNSET

    def role(self) -> ChatChunk:
        return self.chunk(ChunkChoice(delta=Delta(role="assistant", content="", refusal=None)))

    def text(self, piece: str) -> ChatChunk:
        return self.chunk(ChunkChoice(delta=Delta(content=piece)))

    def call(self, index: int, call_id: str, name: str) -> ChatChunk:
        """Begin a call; its arguments follow."""
        begun = CallDelta(
            index=index, id=call_id, type="function", function=Function(name=name, arguments="")
        )
        return self.chunk(ChunkChoice(delta=Delta(tool_calls=(begun,))))

    def arguments(self, index: int, piece: str) -> ChatChunk:
        more = CallDelta(index=index, function=Function(arguments=piece))
        return self.chunk(ChunkChoice(delta=Delta(tool_calls=(more,))))

    def finish(self, reason: FinishReason) -> ChatChunk:
        return self.chunk(ChunkChoice(delta=Delta(), finish_reason=reason))

    def usage(self, usage: ChatUsage) -> ChatChunk:
        return msgspec.structs.replace(self.chunk(), usage=usage)

    def chunk(self, *choices: ChunkChoice) -> ChatChunk:
        return ChatChunk(
            id=self._id,
            created=self._created,
            model=self._model,
            system_fingerprint=self._fingerprint,
            choices=choices,
            usage=self._no_usage,
        )


def completion(
    id: str,
    model: str,
    created: int,
    *,
    text: str,
    calls: tuple[CallAnswered, ...] = (),
    finish: FinishReason,
    usage: ChatUsage,
) -> ChatCompletion:
    """Return the answer that is not streamed. Content is null where there are calls and no words."""
    made = tuple(
        ToolCallMade(id=call.call_id, function=Function(name=call.name, arguments=call.arguments))
        for call in calls
    )
    message = AnswerMessage(content=text or (None if made else ""), tool_calls=made or UNSET)
    choice = AnswerChoice(message=message, finish_reason=finish)
    return ChatCompletion(id=id, model=model, created=created, choices=(choice,), usage=usage)
