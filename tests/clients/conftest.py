"""The servers that clients call: one process each for all tests of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.clients.line import broken_line
from tests.clients.place import KEY, Place
from tests.contract.breakages import Breakage
from tests.server.live_server import live_server


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """kaiwa with its own speech models and dialogue engine."""
    with live_server(tmp_path_factory.mktemp("local"), {"KAIWA_API_KEY": KEY}) as port:
        yield Place("local", f"127.0.0.1:{port}")


@pytest.fixture(params=["local"])
async def place(request: pytest.FixtureRequest, planted: Breakage | None) -> AsyncIterator[Place]:
    """Each engine in turn; behind a broken line when the rule of the test is broken."""
    server: Place = request.getfixturevalue(f"{request.param}_server")
    if planted is None:
        yield server
        return
    async with broken_line(server, planted) as behind:
        yield behind
