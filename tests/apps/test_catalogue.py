"""The agents that ship with kaiwa."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaiwa.apps.catalogue import builtin_agents

from .rentacar_desk import call


def test_there_are_four_agents_in_two_languages_and_the_concierge_has_every_tool(tmp_path: Path) -> None:
    agents = builtin_agents(tmp_path)

    names = ["rentacar", "weather", "library", "concierge"]
    assert list(agents) == [*names, *(f"{name}-en" for name in names)]
    assert [agent.language for agent in agents.values()] == ["ja"] * 4 + ["en"] * 4
    assert all(agent.name == name for name, agent in agents.items())
    assert [spec.name for spec in agents["concierge"].specs] == [
        "list_locations",
        "get_availability",
        "create_reservation",
        "find_reservation",
        "change_reservation",
        "cancel_reservation",
        "get_weather",
        "search_database",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rentacar", "concierge"])
async def test_reservations_live_in_the_data_directory(tmp_path: Path, name: str) -> None:
    shops, failed = await call(builtin_agents(tmp_path / "new")[name], "list_locations")

    assert not failed
    assert len(shops["locations"]) == 3
    assert (tmp_path / "new" / "rentacar.db").exists()


async def test_the_english_ones_share_the_database_and_speak_english(tmp_path: Path) -> None:
    database = tmp_path / "chosen.db"
    concierge = builtin_agents(tmp_path, database=database, search_duration_s=0.05)["concierge-en"]

    shops, _ = await call(concierge, "list_locations")
    found, _ = await call(concierge, "search_database", query="machine learning")

    assert shops["locations"][0]["name"] == "Tokyo Station"
    assert found["count"] >= 1
    assert "English" in concierge.instructions
    assert database.exists()


def test_every_tool_says_whether_it_changes_something_and_every_change_is_read_back_first(
    tmp_path: Path,
) -> None:
    for agent in builtin_agents(tmp_path).values():
        for spec in agent.specs:
            assert spec.changes is not None, spec.name
            assert spec.confirm is spec.changes, spec.name
