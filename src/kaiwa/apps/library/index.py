"""Search over the documents: SQLite's FTS5 in memory, ranked by BM25. Knows SQL; no tool and no delay."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from functools import cache
from typing import Final

from kaiwa.apps.library.documents import Document, Language, read_documents
from kaiwa.apps.library.words import question_words, words

# Weights of subjects, title and text: a word in a title says what the document is about.
_WEIGHTS: Final = (8.0, 6.0, 1.0)
# What fits so much worse than the best shares a stray word with the question.
_WORST: Final = 0.35


class Index:
    """May be used from any thread; one search at a time."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = list(documents)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute(
            "CREATE VIRTUAL TABLE library USING fts5"
            " (subjects, title, text, content='', tokenize='porter unicode61')"
        )
        self._connection.executemany(
            "INSERT INTO library (rowid, subjects, title, text) VALUES (?, ?, ?, ?)",
            (
                (row, _joined(" ".join(one.subjects)), _joined(one.title), _joined(one.text))
                for row, one in enumerate(self._documents)
            ),
        )

    def search(self, question: str, language: Language, limit: int = 3) -> list[Document]:
        """Return the documents in the language that answer best, best first."""
        asked = question_words(question)
        if not asked:
            return []
        match = " OR ".join(f'"{word}"' for word in asked)
        with self._lock:
            rows: list[tuple[int, float]] = self._connection.execute(_QUERY, (*_WEIGHTS, match)).fetchall()
        ranked = [(self._documents[row], -score) for row, score in rows]  # FTS5 scores below zero
        fitting = [(one, score) for one, score in ranked if one.language == language][:limit]
        return [one for one, score in fitting if score >= _WORST * fitting[0][1]]


_QUERY: Final = (
    "SELECT rowid, bm25(library, ?, ?, ?) AS score FROM library WHERE library MATCH ? ORDER BY score"
)
_building = threading.Lock()


def library() -> Index:
    """Return the index of all documents, made at the first use (about a second) and kept."""
    with _building:
        return _library()


@cache
def _library() -> Index:
    return Index(read_documents())


def _joined(text: str) -> str:
    return " ".join(words(text))
