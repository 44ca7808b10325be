"""Token counts by rule, for engines that give none. Source: Realtime reference B9.

One token a CJK character, one for four others; 10 tokens for a second of the user's audio, 20 of the agent's.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kaiwa.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputText,
    McpApprovalRequest,
    McpCall,
    Message,
    OutputText,
)
from kaiwa.events.usage import CachedTokens, InputTokens, OutputTokens, Usage
from kaiwa.session.conversation import Entry, readable
from kaiwa.session.item_rules import words_of

USER_MS_PER_TOKEN = 100
AGENT_MS_PER_TOKEN = 50
IMAGE_TOKENS = 85
CACHE_BLOCK = 64


def text_tokens(text: str) -> int:
    wide = sum(1 for char in text if char >= "\u2e80")
    return wide + (len(text) - wide + 3) // 4


def input_tokens(instructions: str, tools: object, history: Iterable[Entry]) -> InputTokens:
    """Count the whole context of a response."""
    text = text_tokens(instructions) + (text_tokens(msgspec.json.encode(tools).decode()) if tools else 0)
    audio = images = 0
    for entry in history:
        item_text, item_images = _item_tokens(entry)
        text += item_text
        images += item_images
        audio += _audio_tokens(entry)
    return InputTokens(text_tokens=text, audio_tokens=audio, image_tokens=images)


def completed_usage(given: InputTokens, before: InputTokens, text: str, audio_ms: float) -> Usage:
    """Return the usage of a response; what the response before it had read counts as cached."""
    cached_text = _blocks(min(given.text_tokens, before.text_tokens))
    cached_audio = _blocks(min(given.audio_tokens, before.audio_tokens))
    details = msgspec.structs.replace(
        given,
        cached_tokens=cached_text + cached_audio,
        cached_tokens_details=CachedTokens(text_tokens=cached_text, audio_tokens=cached_audio),
    )
    output = OutputTokens(text_tokens=text_tokens(text), audio_tokens=-int(-audio_ms // AGENT_MS_PER_TOKEN))
    read = given.text_tokens + given.audio_tokens + given.image_tokens
    written = output.text_tokens + output.audio_tokens
    return Usage(
        total_tokens=read + written,
        input_tokens=read,
        output_tokens=written,
        input_token_details=details,
        output_token_details=output,
    )


def _blocks(tokens: int) -> int:
    return tokens // CACHE_BLOCK * CACHE_BLOCK


def _audio_tokens(entry: Entry) -> int:
    if not entry.audio_ms or not isinstance(entry.item, Message):
        return 0
    per_token = USER_MS_PER_TOKEN if entry.item.role == "user" else AGENT_MS_PER_TOKEN
    return int(entry.audio_ms // per_token)


def _item_tokens(entry: Entry) -> tuple[int, int]:
    item = readable(entry)
    if isinstance(item, FunctionCall):
        return text_tokens(item.name) + text_tokens(item.arguments), 0
    if isinstance(item, FunctionCallOutput):
        return text_tokens(item.output), 0
    if isinstance(item, McpCall | McpApprovalRequest):
        output = item.output or "" if isinstance(item, McpCall) else ""
        return text_tokens(item.name) + text_tokens(item.arguments) + text_tokens(output), 0
    if not isinstance(item, Message):
        return 0, 0
    text = sum(text_tokens(part.text) for part in item.content if isinstance(part, InputText | OutputText))
    images = sum(IMAGE_TOKENS for part in item.content if isinstance(part, InputImage))
    spoken = text_tokens(words_of(item)) if item.role == "assistant" else 0
    return text + spoken, images
