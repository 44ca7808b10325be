"""The chunks of a streamed chat completion. Knows their shape; keeps what is understood, skips the rest.

Source: OpenAI API reference, "chat.completion.chunk"; Azure adds `prompt_filter_results` and
`content_filter_results`, other servers leave fields out, so everything is optional.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kaiwa.errors import UpstreamError
from kaiwa.events.usage import CachedTokens, InputTokens, OutputTokens, Usage


class FunctionDelta(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct, frozen=True):
    """Some servers leave `index` out when there is one call."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCallDelta, ...] | None = None


class Choice(msgspec.Struct, frozen=True):
    delta: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class ChatUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None


class Chunk(msgspec.Struct, frozen=True):
    choices: tuple[Choice, ...] | None = None
    usage: ChatUsage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Chunk)


def decode_chunk(data: bytes) -> Chunk:
    """Decode one event's data. Raises UpstreamError for an error inside the stream and for anything else."""
    try:
        chunk = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise UpstreamError("upstream_garbled", "The model's answer could not be read.") from broken
    if chunk.error is not None:
        raise UpstreamError("upstream_failed", "The model broke off its answer.", retryable=True)
    return chunk


def usage_of(counts: ChatUsage) -> Usage:
    details = counts.prompt_tokens_details
    cached = (details.cached_tokens if details else None) or 0
    return Usage(
        total_tokens=counts.prompt_tokens + counts.completion_tokens,
        input_tokens=counts.prompt_tokens,
        output_tokens=counts.completion_tokens,
        input_token_details=InputTokens(
            text_tokens=counts.prompt_tokens,
            cached_tokens=cached,
            cached_tokens_details=CachedTokens(text_tokens=cached),
        ),
        output_token_details=OutputTokens(text_tokens=counts.completion_tokens),
    )
