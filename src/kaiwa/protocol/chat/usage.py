"""What an answer cost in tokens, out of the `usage` of completions, responses and embeddings. Pure."""

from __future__ import annotations

from typing import Any, cast

from kaiwa.events.value import Value


class TokensCounted(Value, frozen=True, kw_only=True):
    """`estimated`: a guess, since the service told nothing. Cached ones and audio are part of the whole."""

    input: int = 0
    cached: int = 0
    output: int = 0
    audio_input: int = 0
    audio_output: int = 0
    estimated: bool = False


def counted(usage: object) -> TokensCounted | None:
    """Read a `usage` object as any of the operations writes it; None when it is none."""
    if not isinstance(usage, dict):
        return None
    told = cast(dict[str, Any], usage)
    heard = _details(told, "prompt_tokens_details", "input_tokens_details")
    said = _details(told, "completion_tokens_details", "output_tokens_details")
    return TokensCounted(
        input=_number(told, "prompt_tokens", "input_tokens"),
        cached=_number(heard, "cached_tokens"),
        output=_number(told, "completion_tokens", "output_tokens"),
        audio_input=_number(heard, "audio_tokens"),
        audio_output=_number(said, "audio_tokens"),
    )


def _details(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        if isinstance(usage.get(name), dict):
            return cast(dict[str, Any], usage[name])
    return {}


def _number(part: dict[str, Any], *names: str) -> int:
    for name in names:
        value = part.get(name)
        if isinstance(value, int) and value >= 0:
            return value
    return 0
