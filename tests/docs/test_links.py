"""Every link inside the pages leads somewhere, and every page can be reached."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.docs.pages import PAGES, ROOT, anchors_of, blocks_of, links_of, text_of

SITE = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for link in links_of(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors_of(target), f"{link}: there is no such heading"


def test_every_page_of_the_site_stands_in_its_navigation_and_nothing_else_does() -> None:
    listed = re.findall(r"^ +- [^\n]*?: *([\w./-]+\.md)$", text_of(ROOT / "mkdocs.yml"), re.M)
    assert len(listed) == len(set(listed))
    assert set(listed) == {page.relative_to(SITE).as_posix() for page in SITE.rglob("*.md")}


def test_every_image_is_shown_somewhere_and_says_what_it_shows() -> None:
    shown: set[Path] = set()
    for page in PAGES:
        for words, link in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text_of(page)):
            assert len(words) > 5, f"{page.name}: {link} has no words for who cannot see it"
            shown.add((page.parent / link).resolve())
    assert set((SITE / "images").iterdir()) <= shown


def test_pages_in_two_languages_have_the_same_chapters() -> None:
    """A translation that lags behind shows by its headings, its code and its links."""
    for japanese in (ROOT / "README.ja.md", *SITE.rglob("*.ja.md")):
        english = japanese.with_name(japanese.name.replace(".ja.md", ".md"))
        levels = [re.findall(r"^(#+) ", text_of(page), re.M) for page in (english, japanese)]
        assert levels[0] == levels[1], f"{japanese.name}: other headings than {english.name}"
        code = [[block.text for block in blocks_of(page)] for page in (english, japanese)]
        assert code[0] == code[1], f"{japanese.name}: other code than {english.name}"
