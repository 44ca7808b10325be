"""Embeddings without a model: words and pieces of words, hashed into a vector. Knows spelling, no meaning.

Two texts are near when they share words or parts of words. That finds inflected forms, compounds and near
copies, in Japanese and English; it finds no synonyms and no translations.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Final

MODEL: Final = "kaiwa-hash-embedding"
DIMENSIONS: Final = 512
_RUN: Final = re.compile(
    r"[\u4e00-\u9fff々]+|[\u30a0-\u30ffー]+|[\u3040-\u309f]+|[^\W_\u3040-\u30ff\u4e00-\u9fff々]+"
)
_HIRAGANA: Final = re.compile(r"[\u3040-\u309f]")
_KANJI: Final = re.compile(r"[\u4e00-\u9fff々]")
_ENGLISH_GLUE: Final = re.compile(
    r"a|an|and|are|as|at|be|by|can|do|does|for|from|have|how|i|in|is|it|me|my|of|on|or|please|tell|that|the|"
    r"there|this|to|was|what|when|where|which|will|with|you|your"
)
# Endings and particles say little of what a text is about; a kanji says much.
_GLUE_WEIGHT: Final = 0.25
_PIECE_WEIGHT: Final = 0.5
_SINGLE_KANJI_WEIGHT: Final = 0.7


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Return a vector of length one, the same everywhere for the same text; zeros for one without words."""
    vector = [0.0] * dimensions
    for feature, (count, weight) in _features(text).items():
        number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest())
        sign = 1.0 if number & 1 else -1.0
        vector[(number >> 1) % dimensions] += sign * weight * (1 + math.log(count))
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


def _features(text: str) -> dict[str, tuple[int, float]]:
    counts: Counter[str] = Counter()
    weights: dict[str, float] = {}
    folded = unicodedata.normalize("NFKC", text).lower()
    for run in _RUN.findall(folded):
        for feature, weight in _of_run(run):
            counts[feature] += 1
            weights[feature] = weight
    return {feature: (count, weights[feature]) for feature, count in counts.items()}


def _of_run(run: str) -> Iterator[tuple[str, float]]:
    """Yield what a run of one script is made of: itself, and its pieces."""
    if _HIRAGANA.match(run):
        yield run, _GLUE_WEIGHT
        yield from ((run[at : at + 3], _GLUE_WEIGHT) for at in range(len(run) - 2))
    elif _KANJI.match(run):
        yield run, 1.0
        yield from ((kanji, _SINGLE_KANJI_WEIGHT) for kanji in run)
        yield from ((run[at : at + 2], 1.0) for at in range(len(run) - 1) if len(run) > 2)
    elif _ENGLISH_GLUE.fullmatch(run):
        yield run, _GLUE_WEIGHT / 2
    else:
        marked = f"<{run}>"
        yield run, 1.0
        yield from ((marked[at : at + 4], _PIECE_WEIGHT) for at in range(len(marked) - 3))
