"""A modest set of short documents of our own writing, and a ranking. Knows no delay and no tool."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

Language = Literal["ja", "en"]
_TITLE_WEIGHT: Final = 3


@dataclass(frozen=True, slots=True)
class Document:
    """`subjects` are the words people ask with."""

    id: str
    language: Language
    title: str
    summary: str
    subjects: tuple[str, ...]


@cache
def documents() -> tuple[Document, ...]:
    text = resources.files(__package__ or "").joinpath("documents.json").read_text("utf-8")
    rows: list[dict[str, Any]] = json.loads(text)["documents"]
    return tuple(
        Document(row["id"], row["language"], row["title"], row["summary"], tuple(row["subjects"]))
        for row in rows
    )


def search(query: str, language: Language, limit: int = 3) -> list[Document]:
    """Return the documents that share the most with the query, best first; pairs of characters count."""
    wanted = query.lower()
    pairs = _pairs(wanted)
    scored = [(_score(wanted, pairs, document), document) for document in documents()]
    found = [(score, document) for score, document in scored if score and document.language == language]
    found.sort(key=lambda entry: (-entry[0], entry[1].id))
    return [document for _, document in found[:limit]]


def _score(wanted: str, pairs: set[str], document: Document) -> int:
    named = sum(20 for subject in document.subjects if subject.lower() in wanted)
    shared_title = len(pairs & _pairs(document.title.lower())) * _TITLE_WEIGHT
    shared_summary = len(pairs & _pairs(document.summary.lower()))
    # A stray pair in common is chance, not a hit.
    return named + (shared_title if shared_title > _TITLE_WEIGHT else 0) + shared_summary // 3


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1) if not text[at : at + 2].isspace()}
