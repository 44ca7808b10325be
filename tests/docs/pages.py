"""The pages and what stands in them: blocks of code, links, headings. Knows Markdown as these pages use it."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```", re.S | re.M)
_INDENTED = re.compile(r"(?:^\n|\A)((?:    [^\n]*\n(?:\n(?=    ))?)+)", re.M)


@dataclass(frozen=True)
class Block:
    """One block of code; those that are only indented are the shell's unless they look otherwise."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first(self) -> str:
        """What names it: its page and how it begins. A line's number changes with every edit."""
        return f"{self.page}: {self.text.strip().splitlines()[0][:40]}"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks_of(page: Path) -> list[Block]:
    text, name = text_of(page), page.relative_to(ROOT).as_posix()
    found = [
        Block(name, text[: match.start()].count("\n") + 1, match[2], textwrap.dedent(match[3]))
        for match in _FENCED.finditer(text)
    ]
    rest = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)
    found += [
        Block(name, rest[: match.start(1)].count("\n") + 1, "", textwrap.dedent(match[1]))
        for match in _INDENTED.finditer(rest)
        if not _goes_on_a_list(rest[: match.start(1)])
    ]
    return sorted(found, key=lambda block: block.line)


def _goes_on_a_list(before: str) -> bool:
    last = next((line for line in reversed(before.splitlines()) if line.strip() and line[:4].strip()), "")
    return re.match(r" *([-*]|\d+\.) ", last) is not None


def prose_of(page: Path) -> str:
    """Return a page without its code, where brackets are no links."""
    text = _FENCED.sub("", text_of(page))
    return re.sub(r"`[^`\n]*`", "", _INDENTED.sub("\n", text))


def links_of(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)", prose_of(page))


def anchors_of(page: Path) -> set[str]:
    """Return what GitHub and mkdocs make of the headings."""
    text = _FENCED.sub("", text_of(page))
    named: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *#*$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\s-]", "", plain.lower()).strip().replace(" ", "-")
        named.append(f"{slug}-{named.count(slug)}" if slug in named else slug)
    return {*named, *re.findall(r"<a id=\"([^\"]+)\"", text)}


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
