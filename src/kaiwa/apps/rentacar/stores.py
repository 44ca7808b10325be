"""From the value of KAIWA_DATABASE to a store. Knows the forms it may have; opens nothing yet."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.apps.rentacar.store import ReservationStore
from kaiwa.errors import ConfigError

SETTING: Final = "KAIWA_DATABASE"
DEFAULT_COSMOS_DATABASE: Final = "rentacar-db"


def open_store(where: str | Path) -> ReservationStore:
    """Return the store: a path or `sqlite:///path`, `postgresql://…`, `cosmos://…` or a Cosmos DB
    connection string. Raises ConfigError for anything else, and for a missing package."""
    written = str(where)
    if file := sqlite_file(written):
        return SqliteReservations(file)
    if written.startswith(("postgresql://", "postgres://")):
        from kaiwa.apps.rentacar.postgres import PostgresReservations

        return PostgresReservations(written)
    if written.startswith(("cosmos://", "AccountEndpoint=")):
        from kaiwa.apps.rentacar.cosmos.store import CosmosReservations

        return CosmosReservations(written)
    scheme = written.split("://", 1)[0]
    raise ConfigError(
        SETTING,
        f"there is no kind of database called {scheme!r}.",
        "Give a file, postgresql://…, cosmos://… or a connection string of Cosmos DB.",
    )


def sqlite_file(where: str | Path) -> Path | None:
    """Return the file that a setting names; None when it names a server."""
    written = str(where)
    if written.startswith("sqlite:///"):
        return Path(written.removeprefix("sqlite:///"))
    return None if "://" in written or written.startswith("AccountEndpoint=") else Path(written)
