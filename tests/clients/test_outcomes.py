"""The page of clients shows the last run and nothing else."""

from __future__ import annotations

from tests.clients.outcomes import BEGIN, END, HUB, HUB_BEGIN, HUB_END, Outcome, hub_table, rendered, table
from tests.clients.turns import TURNS

PAGE = f"# Clients\n\n{BEGIN}\nold\n{END}\n\nHubs.\n\n{HUB_BEGIN}\nold\n{HUB_END}\n\nMore.\n"


def test_engines_share_the_row_of_a_surface() -> None:
    local = Outcome("rt-client", "0.5.1", "RTClient", "preview", "local")
    relay = Outcome("rt-client", "0.5.1", "RTClient", "preview", "relay", (*TURNS, "handoff"))
    (row,) = table([relay, local]).splitlines()[2:]
    assert row == "| rt-client | 0.5.1 | RTClient | preview | all five | all five, handoff |"


def test_what_was_not_run_is_said() -> None:
    assert table([Outcome("a", "1", "b", "GA", "relay")]).endswith("| not run | all five |")


def test_only_the_table_of_the_page_is_rendered() -> None:
    fresh = rendered(PAGE, [Outcome("a", "1", "b", "GA", "local")])
    assert fresh.startswith("# Clients\n") and fresh.endswith(f"{HUB_END}\n\nMore.\n")
    assert "old" not in fresh and "| a | 1 | b | GA |" in fresh
    assert rendered(fresh, [Outcome("a", "1", "b", "GA", "local")]) == fresh


def test_clients_of_hubs_have_a_table_of_their_own() -> None:
    hub = Outcome("pysignalr", "1", "WebSockets, json", "SignalR", HUB, ("calls", "reconnect"))
    assert hub_table([hub]).endswith("\n| pysignalr | 1 | WebSockets, json | calls, reconnect |")
    assert table([hub]) == table([])
    fresh = rendered(PAGE, [hub])
    assert fresh.index("| pysignalr |") > fresh.index(HUB_BEGIN)
