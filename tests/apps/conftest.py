"""Real databases for the tests of the desk, started once a run and emptied for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from kaiwa.apps.rentacar.store import ReservationStore
from kaiwa.apps.rentacar.stores import open_store

from .postgres_server import postgres_server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres(postgres_url: str) -> str:
    """The URL of a PostgreSQL database with nothing in it."""

    async def empty() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await connection.close()

    asyncio.run(empty())
    return postgres_url


KINDS = ["sqlite", "postgres"]


@pytest.fixture(params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind, as KAIWA_DATABASE names it."""
    if request.param == "sqlite":
        return str(tmp_path / "new" / "desk.db")
    return str(request.getfixturevalue("postgres"))


@pytest.fixture
async def store(where: str) -> AsyncIterator[ReservationStore]:
    opened = open_store(where)
    yield opened
    await opened.aclose()
