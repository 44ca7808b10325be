"""Two and four server processes over a real Redis are one hub to Microsoft's JavaScript clients."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.hub.stock import PROGRAM, run_stock_client
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures

SERVER = Path(__file__).parent / "serve_town.py"
TOWN = PROGRAM.with_name("signalr-town.mjs")


@contextmanager
def _processes(url: str, count: int) -> Iterator[list[tuple[str, int]]]:
    """Start servers; give their addresses and process ids."""
    started = [
        subprocess.Popen([sys.executable, SERVER, url], stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        found: list[tuple[str, int]] = []
        for process in started:
            assert process.stdout is not None
            found.append((f"http://127.0.0.1:{int(process.stdout.readline())}/town", process.pid))
        yield found
    finally:
        for process in started:
            process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


async def _saw(redis: str, servers: int, *, kill: bool, count: int = 100) -> dict[str, Any]:
    with _processes(redis, servers) as found:
        urls = [url for url, _ in found]
        pid = found[-1][1] if kill else 0
        return await run_stock_client(urls[0], program=TOWN, urls=urls, kill=pid, count=count)


@pytest.mark.clients
@pytest.mark.parametrize("servers", [2, 4])
async def test_clients_spread_over_processes_hear_the_same_in_one_order(redis_url: str, servers: int) -> None:  # noqa: F811
    saw = await _saw(redis_url, servers, kill=False)

    first, *others = saw["together"]
    assert all(other == first for other in others)
    for person in range(2 * servers):
        assert [word for word in first if word.startswith(f"{person}:")] == [
            f"{person}:{n}" for n in range(100)
        ]
    assert saw["asked"] == f"{servers - 1} says hello"
    heard_aside = [[] for _ in range(2 * servers)]
    heard_aside[-1].append("psst")
    for place in (2, 3):
        heard_aside[place].append("to user 1")
    assert saw["aside"] == heard_aside


@pytest.mark.clients
@pytest.mark.parametrize("servers", [2, 4])
async def test_a_killed_server_costs_only_its_own_clients_what_is_said_meanwhile(
    redis_url: str,  # noqa: F811
    servers: int,
) -> None:
    saw = await _saw(redis_url, servers, kill=True)

    everything = [str(number) for number in range(100)]
    assert saw["survived"][:-2] == [everything] * (2 * servers - 2)
    for heard in saw["survived"][-2:]:
        assert heard == [word for word in everything if word in set(heard)], "in order, nothing twice"
        assert heard[-50:] == everything[50:], "all since they are back"
    assert "disconnected before it answered" in saw["never"]
