"""Reservations in PostgreSQL. Knows its locks, its constraint and which failures are worth another try.

A booking locks its shop's row, so bookings of one shop come one after the other and those of different shops
side by side. The exclusion constraint on the table holds against every other program that writes there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from kaiwa.apps.rentacar.fleet import Location
from kaiwa.apps.rentacar.schema import bring_up_to_date, is_newest, version_of
from kaiwa.apps.rentacar.shops import SHOPS
from kaiwa.apps.rentacar.sql import SqlReservations
from kaiwa.apps.rentacar.tables import LOCATIONS
from kaiwa.errors import ConfigError, MissingPackage

CONNECTIONS: Final = 8
CONNECT_TIMEOUT_S: Final = 10
_TRIES: Final = 5
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('kaiwa rentacar schema'))"
# A deadlock, no serial order; an overlap or a key with which another program was first.
_WORTH_ANOTHER_TRY: Final = ("40P01", "40001", "23P01", "23505")
T = TypeVar("T")


class PostgresReservations(SqlReservations):
    """`url` is a libpq URL (`postgresql://user:password@host/database?sslmode=require`).

    At most `connections` are open at once; further operations wait. The first use raises ConfigError when
    the server cannot be reached or refuses.
    """

    def __init__(
        self, url: str, *, shops: Sequence[Location] = SHOPS, connections: int = CONNECTIONS
    ) -> None:
        self._url = url
        self._room = asyncio.Semaphore(connections)
        super().__init__(_engine(url), shops)

    async def _prepare(self) -> None:
        with _explained(self._url):
            if not await is_newest(self._engine):
                await bring_up_to_date(lambda: _engine(self._url), _LOCK, self._shops)

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[AsyncConnection]:
        async with self._room, self._engine.begin() as connection:
            yield connection

    async def _write(self, location_id: str | None, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        for left in reversed(range(_TRIES)):
            try:
                async with self._reading() as connection:
                    shops = select(LOCATIONS.c.id).order_by(LOCATIONS.c.id).with_for_update(key_share=True)
                    if location_id is not None:
                        shops = shops.where(LOCATIONS.c.id == location_id)
                    await connection.execute(shops)
                    return await work(connection)
            except DBAPIError as failure:
                if not left or _state(failure) not in _WORTH_ANOTHER_TRY:
                    raise
        raise AssertionError("the last try returns or raises")

    def _next_id(self) -> ColumnElement[int]:
        return func.nextval("reservations_id_seq")


async def look_up(url: str) -> tuple[str | None, bool]:
    """Return the version of the schema and whether the desk's tables are there. Raises ConfigError."""
    with _explained(url):
        return await version_of(_engine(url))


@contextmanager
def _explained(url: str) -> Generator[None]:
    """Say in the setting's words why a server cannot be used."""
    try:
        yield
    except (OSError, TimeoutError, DBAPIError, _postgres_error()) as failure:
        raise ConfigError("KAIWA_DATABASE", _problem(url, failure), _remedy(failure)) from failure


def _engine(url: str) -> AsyncEngine:
    driver = _driver()

    async def connect() -> Any:
        # asyncpg reads what libpq knows of a URL (sslmode, several hosts); SQLAlchemy would not.
        return await driver.connect(dsn=url, timeout=CONNECT_TIMEOUT_S)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


def _driver() -> Any:
    try:
        import asyncpg
    except ImportError as missing:
        raise MissingPackage("KAIWA_DATABASE", "asyncpg", "postgres") from missing
    return asyncpg


def _postgres_error() -> type[Exception]:
    return cast("type[Exception]", _driver().PostgresError)


def _state(failure: BaseException) -> str | None:
    """Return the SQLSTATE."""
    original = getattr(failure, "orig", failure)
    return getattr(original, "sqlstate", None)


def _problem(url: str, failure: BaseException) -> str:
    """Say what failed without the URL's user, password or host, which a log must not hold."""
    code = _state(failure)
    if code is None:
        return f"no PostgreSQL answers at port {urlsplit(url).port or 5432} of its host."
    return f"PostgreSQL refuses ({code})."


def _remedy(failure: BaseException) -> str:
    match _state(failure):
        case "28P01" | "28000":
            return "Check user and password."
        case "3D000":
            return "Create the database first."
        case "42501" | "0A000" | "58P01":
            return "The role must own the schema, and the extension btree_gist be allowed and installed."
        case None:
            return "Check host, port and whether the server runs."
        case _:
            return "See the server's log."
