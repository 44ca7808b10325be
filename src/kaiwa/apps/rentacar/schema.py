"""Leads a database of any age to the newest schema. Knows alembic; no queries of the desk.

Both the versions and the shops a new database starts with are written in one transaction under a lock, so
any number of processes may start at once, and one that is killed in it leaves the database as it was.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from kaiwa.apps.rentacar.fleet import Location
from kaiwa.apps.rentacar.tables import LOCATIONS, VEHICLES
from kaiwa.errors import ConfigError

NEWEST: Final = "0002"
BEFORE_VERSIONS: Final = "0001"
VERSION_TABLE: Final = "rentacar_schema"  # other applications may keep an alembic_version in the database

_walking = threading.Lock()  # alembic keeps the migration that runs in module globals


async def is_newest(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return await connection.run_sync(_version) == NEWEST


async def version_of(engine: AsyncEngine) -> tuple[str | None, bool]:
    """Return the schema's version, and whether there are tables of the desk at all. Changes nothing."""

    def look(connection: Connection) -> tuple[str | None, bool]:
        return _version(connection), inspect(connection).has_table("reservations")

    async with engine.connect() as connection:
        return await connection.run_sync(look)


async def bring_up_to_date(
    make_engine: Callable[[], AsyncEngine], lock: str, shops: Sequence[Location]
) -> None:
    """Migrate and, if there is no shop, put in the given ones. `lock` is the SQL that takes the lock.

    Runs in a thread with an event loop of its own: alembic's globals allow one migration at a time.
    Raises ConfigError when a newer kaiwa wrote the database.
    """

    async def walk() -> None:
        engine = make_engine()
        try:
            async with engine.begin() as connection:
                await connection.execute(text(lock))
                await connection.run_sync(_walk, shops)
        finally:
            await engine.dispose()

    def work() -> None:
        with _walking:
            asyncio.run(walk())

    await asyncio.to_thread(work)


def _version(connection: Connection) -> str | None:
    if inspect(connection).has_table(VERSION_TABLE):
        return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None


def _walk(connection: Connection, shops: Sequence[Location]) -> None:
    # Imported here: a database that is up to date needs no alembic, which takes its time to load.
    from alembic.config import Config
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(configuration)
    version = _version(connection)
    known = {script.revision for script in scripts.walk_revisions()}
    if version is not None and version not in known:
        raise ConfigError(
            "KAIWA_DATABASE", f"a newer kaiwa wrote it (schema {version}).", "Update kaiwa, or name another."
        )

    def steps(heads: Any, context: MigrationContext) -> Any:
        return scripts._upgrade_revs("head", heads)  # pyright: ignore[reportPrivateUsage]

    context = MigrationContext.configure(
        connection, opts={"fn": steps, "version_table": VERSION_TABLE, "transactional_ddl": True}
    )
    if version is None and inspect(connection).has_table("reservations"):
        context.stamp(scripts, BEFORE_VERSIONS)
    with Operations.context(context):
        context.run_migrations()
    _put_in_shops(connection, shops)


def _put_in_shops(connection: Connection, shops: Sequence[Location]) -> None:
    if not shops or connection.execute(select(func.count()).select_from(LOCATIONS)).scalar():
        return
    rows = [{key: value for key, value in asdict(shop).items() if key != "inventory"} for shop in shops]
    connection.execute(insert(LOCATIONS), rows)
    if cars := [asdict(car) for shop in shops for car in shop.inventory]:
        connection.execute(insert(VEHICLES), cars)
