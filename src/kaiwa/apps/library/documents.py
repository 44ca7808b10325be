"""The library's documents: texts of others under free licences (NOTICE), and a few of our own.

Knows the files that ship with the package; does not know how to search. `scripts/library_documents.py`
made the packed ones.
"""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

import msgspec

Language = Literal["ja", "en"]
_SUMMARY_CHARS: Final = 120
_ENDS: Final = ("。", ".", "？", "?", "！", "!")


@dataclass(frozen=True, slots=True)
class Source:
    """`title` is how a result names it, in the language of its documents."""

    file: str
    language: Language
    title: str


SOURCES: Final = (
    Source("handbook-ja", "ja", "Debian 管理者ハンドブック"),
    Source("httpd-ja", "ja", "Apache HTTP サーバ ドキュメント"),
    Source("python-en", "en", "Python documentation"),
)
OWN: Final[dict[Language, str]] = {"ja": "kaiwa の資料", "en": "kaiwa's own notes"}


@dataclass(frozen=True, slots=True)
class Document:
    """`subjects` are words people ask with that the text may lack."""

    id: str
    language: Language
    source: str
    title: str
    text: str
    subjects: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The first sentences, as many as one says in a breath."""
        paragraphs = self.text.split("\n")
        plain = next((one for one in paragraphs if one.endswith(_ENDS)), paragraphs[0])  # not a heading
        sentences = re.findall(r".+?(?:[。！？]|[.!?](?=\s|$)|$)", plain)
        said = sentences[0].strip() if sentences else ""
        for sentence in sentences[1:]:
            if len(said) + len(sentence) > _SUMMARY_CHARS:
                break
            said += sentence
        return said if len(said) <= 2 * _SUMMARY_CHARS else f"{said[: 2 * _SUMMARY_CHARS]}…"


def read_documents() -> list[Document]:
    """Unpack all documents; takes some tens of milliseconds."""
    folder = resources.files(__package__ or "").joinpath("documents")
    own: Any = msgspec.json.decode(folder.joinpath("own.json").read_bytes())
    found = [
        Document(
            row["id"],
            row["language"],
            OWN[row["language"]],
            row["title"],
            row["summary"],
            tuple(row["subjects"]),
        )
        for row in own["documents"]
    ]
    for source in SOURCES:
        packed = folder.joinpath(f"{source.file}.json.xz").read_bytes()
        rows: Any = msgspec.json.decode(lzma.decompress(packed))["documents"]
        found += [
            Document(row["id"], source.language, source.title, row["title"], row["text"]) for row in rows
        ]
    return found
