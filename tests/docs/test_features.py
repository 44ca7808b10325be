"""The feature pages: what a cell says about what ran."""

from __future__ import annotations

import pytest
from tests.clients.outcomes import Outcome
from tests.docs.features import DOORS, ENGINES, FEATURES, PAGES, Language, rendered, tables
from tests.interaction.gaps import GAPS
from tests.interaction.houses import HOUSES

BODY = "a tool runs once and its result is told once"
EVERYWHERE = {(BODY, house, door) for house in HOUSES for door in DOORS}


def row(text: str, label: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_what_went_well_everywhere_is_a_yes_everywhere() -> None:
    text = tables(EVERYWHERE, [], "en", ())
    assert row(text, "tools in the server") == ["✓"] * len(DOORS)
    assert text.count("| tools in the server |") == 2


def test_one_engine_that_cannot_makes_a_half_and_a_door_that_never_could_a_no() -> None:
    went = {one for one in EVERYWHERE if one[2] != "sse-plain" and one[1:] != ("local", "webrtc")}
    text = tables(went, [], "en", ())
    cells = dict(zip(DOORS, row(text, "tools in the server"), strict=True))
    assert (cells["websocket"], cells["webrtc"], cells["sse-plain"]) == ("✓", "◐", "–")


def test_what_an_engine_lacks_is_said_of_the_engine_and_not_of_every_door() -> None:
    by_door, by_engine = tables({one for one in EVERYWHERE if one[1] != "local"}, [], "en", ()).split(
        "## Engines"
    )
    assert row(by_door, "tools in the server") == ["✓"] * len(DOORS)
    assert row(by_engine, "tools in the server") == ["–", "✓", "✓"]


def test_a_client_is_one_line_with_all_its_dialects() -> None:
    ran = [Outcome("c", "1", name, dialect, engine) for name, dialect, engine in
           (("a", "GA", "local"), ("b", "beta", "relay"))]  # fmt: skip
    assert row(tables([], ran, "ja", ()), "c") == ["1", "GA; beta", "local, relay"]


@pytest.mark.parametrize("language", PAGES)
def test_every_played_scenario_has_a_name_in_both_languages(language: Language) -> None:
    assert all(body in FEATURES for gap in GAPS for body in gap.bodies)
    assert all(words.of(language) for words in (*FEATURES.values(), *ENGINES.values()))


def test_only_what_stands_between_the_marks_is_rendered() -> None:
    page = "a\n<!-- features: begin -->old<!-- features: end -->\nz"
    assert rendered(page, "new") == "a\n<!-- features: begin -->\n\nnew\n\n<!-- features: end -->\nz"
