"""Token counts of a response and of a transcription. Source: Realtime reference B9."""

from __future__ import annotations

from kaiwa.events.value import Value


class CachedTokens(Value, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0


class InputTokens(Value, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0
    cached_tokens_details: CachedTokens = CachedTokens()


class OutputTokens(Value, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0


class Usage(Value, kw_only=True):
    """total = input + output; each side is the sum of its details."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: InputTokens = InputTokens()
    output_token_details: OutputTokens = OutputTokens()


class TranscriptionTokenDetails(Value, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0


class TokenTranscriptionUsage(Value, tag="tokens", tag_field="type", kw_only=True):
    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: TranscriptionTokenDetails = TranscriptionTokenDetails()


class DurationUsage(Value, tag="duration", tag_field="type", kw_only=True):
    """Whisper-like models are billed by the second (integer, rounded up)."""

    seconds: int


TranscriptionUsage = TokenTranscriptionUsage | DurationUsage
