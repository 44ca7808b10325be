"""The Whisper network on CTranslate2: features in, token hypotheses out. Knows tokens; knows no policy.

Which text to believe is recognition.py's business.
"""

from __future__ import annotations

import ctypes
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from kaiwa.engines.speech.features import log_mel
from kaiwa.engines.speech.resampling import MODEL_RATE_HZ, Samples
from kaiwa.errors import ConfigError, MissingPackage
from kaiwa.events.logprobs import TokenLogprob

_MIN_WINDOW_S: Final = 8.0
_TAIL_S: Final = 1.5
_MAX_WINDOW_S: Final = 30.0
_PROMPT_TOKENS: Final = 200
_FRAMES_PER_S: Final = 100
_LEAST_CHANCE: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """`score` is the average log probability of a token; `no_speech` the model's doubt that anyone spoke.

    `tokens` are what the model wrote, by number, before anybody tidied the text.
    """

    text: str
    score: float
    no_speech: float
    tokens: tuple[int, ...] = ()


class WhisperNetwork:
    """The loaded network and its tokenizer."""

    def __init__(self, directory: Path, *, threads: int = 1) -> None:
        """Load from a directory in CTranslate2's layout. Raises ConfigError when it cannot."""
        try:
            import ctranslate2
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingPackage("speech", str(error.name), "local") from None
        try:
            tokenizer = (directory / "tokenizer.json").read_bytes()
            json.loads(tokenizer)  # tokenizers says no more of a broken file than "Exception"
            self._tokenizer: Any = Tokenizer.from_buffer(tokenizer)
            self._model: Any = ctranslate2.models.Whisper(
                str(directory), device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(
                "speech.recognition_model",
                f"{directory} holds no Whisper model that CTranslate2 can read.",
                "It needs model.bin, config.json, tokenizer.json and the vocabulary file.",
            ) from error
        self._storage: Any = ctranslate2.StorageView
        _return_freed_memory()

    def encode(self, samples: Samples) -> Any:
        """Return the encoding of 16 kHz audio of at most 28.5 s.

        The window is 8 s or the length and 1.5 s, not the 30 s the model was trained on: 5 times cheaper.
        With a shorter tail the decoder loses its end and repeats itself.
        """
        seconds = len(samples) / MODEL_RATE_HZ
        window_s = min(_MAX_WINDOW_S, max(_MIN_WINDOW_S, seconds + _TAIL_S))
        padded = np.zeros(int(window_s * 100) * MODEL_RATE_HZ // 100, dtype=np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        return self._model.encode(self._storage.from_array(log_mel(padded)[None]))

    def knows(self, language: str) -> bool:
        return self._tokenizer.token_to_id(f"<|{language}|>") is not None

    def probabilities(self, encoded: Any) -> dict[str, float]:
        """Return the probability of each language by its code."""
        return {token.strip("<|>"): p for token, p in self._model.detect_language(encoded)[0]}

    def decode(
        self, encoded: Any, language: str, *, prompt: str, beam_size: int, max_tokens: int
    ) -> Hypothesis:
        tokens = _start(language)
        if prompt:
            before = self._tokenizer.encode(" " + prompt, add_special_tokens=False).tokens
            tokens = ["<|startofprev|>", *before[-_PROMPT_TOKENS:], *tokens]
        result = self._model.generate(
            encoded,
            [tokens],
            beam_size=beam_size,
            max_length=min(448, len(tokens) + max_tokens),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        written = result.sequences_ids[0]
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        return Hypothesis(text.strip(), result.scores[0], result.no_speech_prob, tuple(written))

    def logprobs(
        self, encoded: Any, language: str, found: Hypothesis, seconds: float
    ) -> tuple[TokenLogprob, ...]:
        """Return how likely the network finds each token it wrote, given the audio and those before it."""
        start = [self._tokenizer.token_to_id(token) for token in _start(language)]
        frames = int(seconds * _FRAMES_PER_S)
        chances = self._model.align(encoded, start, [list(found.tokens)], frames)[0].text_token_probs
        names = (self._tokenizer.id_to_token(token) for token in found.tokens)
        return tuple(_judged(name, chance) for name, chance in zip(names, chances, strict=False))


def _start(language: str) -> list[str]:
    return ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]


def _judged(token: str, chance: float) -> TokenLogprob:
    raw = bytes(_BYTES[char] for char in token)
    return TokenLogprob(
        token=raw.decode("utf-8", "replace"), logprob=math.log(max(chance, _LEAST_CHANCE)), bytes=tuple(raw)
    )


def _bytes_by_character() -> dict[str, int]:
    """Return what byte each character of a token stands for. Source: the vocabulary of GPT-2.

    Printable characters of Latin-1 stand for themselves, the others are moved up to U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(moved)}


_BYTES: Final = _bytes_by_character()


def _return_freed_memory() -> None:
    """Give pages freed while loading back to the system: 85 MB after whisper-base (measured, glibc only)."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
