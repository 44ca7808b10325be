"""Real databases for the tests of the desk, started once a run and emptied for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from kaiwa.apps.rentacar.store import ReservationStore
from kaiwa.apps.rentacar.stores import open_store

from .cosmos_server import cosmos_server, fresh_database
from .postgres_server import postgres_server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def cosmos_address() -> Iterator[str]:
    with cosmos_server() as address:
        yield address


@pytest.fixture
def cosmos(cosmos_address: str) -> str:
    """The connection string of a Cosmos DB database with nothing in it."""
    return fresh_database(cosmos_address)


@pytest.fixture
def postgres(postgres_url: str) -> str:
    """The URL of a PostgreSQL database with nothing in it."""

    async def empty() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await connection.close()

    asyncio.run(empty())
    return postgres_url


# The stand-in of Cosmos DB is 446 packages: too much for `make test`.
KINDS = ["sqlite", "postgres", pytest.param("cosmos", marks=pytest.mark.clients)]


@pytest.fixture(params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind, as KAIWA_DATABASE names it."""
    if request.param == "sqlite":
        return str(tmp_path / "new" / "desk.db")
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def store(where: str) -> AsyncIterator[ReservationStore]:
    opened = open_store(where)
    yield opened
    await opened.aclose()
