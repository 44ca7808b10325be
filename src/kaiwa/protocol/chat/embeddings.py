"""Embeddings on their way out: numbers as a list or as base64 of little-endian floats. Pure.

Source: OpenAI API reference, "Embeddings".
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Literal

import msgspec

Encoding = Literal["float", "base64"]


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: Sequence[float] | str


class EmbeddingUsage(msgspec.Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[Embedding, ...]
    model: str
    usage: EmbeddingUsage


def embedding_list(
    vectors: Sequence[Sequence[float]], model: str, tokens: int, encoding: Encoding
) -> EmbeddingList:
    """Return the answer for these vectors, in the order of the inputs."""
    data = tuple(
        Embedding(index=index, embedding=vector if encoding == "float" else _packed(vector))
        for index, vector in enumerate(vectors)
    )
    return EmbeddingList(
        data=data, model=model, usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
    )


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
