"""Does the library find what people ask for? Fifty questions, each with the document that answers it.

The questions were written from the documents' titles, before anything was searched for.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, p50_p95
from kaiwa.apps.library.documents import read_documents
from kaiwa.apps.library.index import Index

QUESTIONS = Path(__file__).parent / "library_questions.json"


def measure() -> list[Figure]:
    asked: list[dict[str, Any]] = json.loads(QUESTIONS.read_text("utf-8"))
    began_s = time.perf_counter()
    index = Index(read_documents())
    built_s = time.perf_counter() - began_s
    found: dict[str, list[bool]] = {"ja": [], "en": []}
    spent_ms: list[float] = []
    for question in asked:
        began_s = time.perf_counter()
        best = index.search(question["question"], question["language"], limit=5)
        spent_ms.append((time.perf_counter() - began_s) * 1000)
        found[question["language"]].append(question["document"] in [one.id for one in best])
    every = found["ja"] + found["en"]
    return [
        Figure(
            "library.recall_at_5", _share(every), "share", note=f"{len(every)} questions; higher is better"
        ),
        *(Figure(f"library.recall_at_5.{name}", _share(hits), "share") for name, hits in found.items()),
        *p50_p95("library.search_ms", spent_ms, "ms"),
        Figure("library.index_s", round(built_s, 2), "s", note="once in a process"),
    ]


def _share(hits: list[bool]) -> float:
    return round(sum(hits) / len(hits), 3)
