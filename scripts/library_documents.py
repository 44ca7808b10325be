"""Take the library's documents out of three Debian packages: `python scripts/library_documents.py`.

    apache2-doc        Apache HTTP Server manual, Japanese   Apache-2.0
    debian-handbook    Debian Administrator's Handbook, Japanese   CC-BY-SA-3.0 (or GPL-2.0+, not taken)
    python3.11-doc     Python documentation, English   PSF-2.0

Writes src/kaiwa/apps/library/documents/*.json.xz: plain text, long ones cut, untranslated ones left out.
"""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent.parent / "src/kaiwa/apps/library/documents"
PACKAGES = ("apache2-doc", "debian-handbook", "python3.11-doc")
LONGEST = 5000
SHORTEST = 150
HIDDEN_TAGS = {"script", "style", "pre", "nav", "button", "svg", "table", "title", "head"}
HIDDEN_NAMES = {
    "toplang", "bottomlang", "quickview", "outofdate", "warning", "top", "directive", "docnav", "toc",
    "indexterm", "figure", "headerlink", "contents", "sphinxsidebar", "highlight-default",
    "highlight-python3", "topic",
}  # fmt: skip
BLOCKS = {"p", "div", "li", "h1", "h2", "h3", "h4", "dt", "dd", "section", "tr", "ul", "ol", "dl", "br"}
EMPTY = {"br", "img", "link", "meta", "hr", "input", "col", "wbr"}
PYTHON = ("tutorial", "howto", "faq", "library", "using", "reference")

Document = dict[str, Any]


class Words(HTMLParser):
    """Keeps what a reader reads, with a line break at every block."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in BLOCKS:
            self.pieces.append("\n\n")
        if tag in EMPTY:
            return
        given = dict(attrs)
        names = {*(given.get("class") or "").split(), given.get("id") or ""}
        self._open.append((tag, tag in HIDDEN_TAGS or bool(names & HIDDEN_NAMES)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag in BLOCKS:
            self.pieces.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self._open):
            self.pieces.append(data)


def words_of(markup: str) -> str:
    words = Words()
    words.feed(markup)
    words.close()
    text = "".join(words.pieces).replace("\xa0", " ").replace("¶", "")
    paragraphs = (re.sub(r"\s+", " ", paragraph).strip() for paragraph in re.split(r"\n\s*\n", text))
    # A line break between Japanese characters is no blank.
    closed = (
        re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])", "", one)
        for one in paragraphs
    )
    return "\n".join(one for one in closed if one)


def title_of(markup: str) -> str:
    return re.sub(
        r"^((第|付録)\s*\w+\s*[章.]|([A-Z]|\d+)\.[\d.]*)\s*", "", words_of(markup).replace("\n", " ")
    ).strip()


def is_japanese(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return sum(char > "\u3040" for char in letters) > 0.45 * len(letters)


def apache(folder: Path) -> Iterator[Document]:
    base = folder / "usr/share/doc/apache2-doc/manual/ja"
    for file in sorted(base.rglob("*.html")):
        markup = file.read_text("utf-8")
        name = file.relative_to(base).with_suffix("").as_posix()
        if 'lang="ja"' not in markup[:300] or re.search(r"(^|/)(index|sitemap|quickreference)$", name):
            continue
        title = re.search(r"<title>(.*?)</title>", markup, re.DOTALL)
        body = markup[max(0, markup.find('<div id="page-content"')) :]
        body = re.sub(r'<div class="bottomlang">.*|<a[^>]*id="comments_section".*', "", body, flags=re.DOTALL)
        if title:
            yield document(f"httpd/{name}", title[1].split(" - Apache")[0].replace("<", "&lt;"), body)


def handbook(folder: Path) -> Iterator[Document]:
    for file in sorted((folder / "usr/share/doc/debian-handbook/html/ja-JP").glob("*.html")):
        if "acknowledgments" in file.stem:
            continue
        parts = re.split(r'(?=<div class="section"><div class="titlepage">)', file.read_text("utf-8"))
        for number, part in enumerate(parts):
            title = re.search(r'<h[1-4] class="title">(.*?)</h[1-4]>', part, re.DOTALL)
            if title:
                body = re.sub(r'<ul class="docnav">.*', "", part[title.end() :], flags=re.DOTALL)
                yield document(f"handbook/{file.stem}/{number}", title[1], body)


def python(folder: Path) -> Iterator[Document]:
    base = folder / "usr/share/doc/python3.11/html"
    for file in sorted(path for name in PYTHON for path in (base / name).glob("*.html")):
        markup = file.read_text("utf-8")
        title = re.search(r"<h1>(.*?)</h1>", markup, re.DOTALL)
        if title and file.stem != "index":
            body = markup[title.end() :].split('<div class="clearer">')[0]
            yield document(f"python/{file.parent.name}/{file.stem}", title[1], body)


def document(name: str, title: str, body: str) -> Document:
    return {"id": name, "title": title_of(title), "text": words_of(body)[:LONGEST].strip()}


def main() -> None:
    sources = {"httpd-ja": (apache, True), "handbook-ja": (handbook, True), "python-en": (python, False)}
    OUT.mkdir(exist_ok=True)
    for package, (name, (read, japanese)) in zip(PACKAGES, sources.items(), strict=True):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
            (archive,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", str(archive), folder], check=True)
            kept = [
                one
                for one in read(Path(folder))
                if one["title"]
                and len(one["text"]) >= SHORTEST
                and (is_japanese(one["text"]) or not japanese)
            ]
            content = {"from": archive.name, "documents": kept}
        written = lzma.compress(json.dumps(content, ensure_ascii=False).encode(), preset=9)
        (OUT / f"{name}.json.xz").write_bytes(written)
        print(f"{name}: {len(kept)} documents, {len(written) // 1000} kB, from {archive.name}")


if __name__ == "__main__":
    main()
