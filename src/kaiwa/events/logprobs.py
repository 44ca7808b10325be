"""How sure a recogniser is of each token of a transcript. Source: Realtime reference B2."""

from __future__ import annotations

from kaiwa.events.value import Value

INCLUDED = "item.input_audio_transcription.logprobs"
"""What a session's `include` says when its peer wants them."""


class TokenLogprob(Value, kw_only=True):
    """`bytes` is the token in UTF-8. Where it is only part of a character, `token` shows �."""

    token: str
    logprob: float
    bytes: tuple[int, ...]
