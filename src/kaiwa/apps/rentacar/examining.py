"""What state the database of reservations is in: reached, empty, of this kaiwa's schema. Changes nothing.

Knows the three kinds of database. The stores make and migrate at their first use; whoever only wants to look
asks here.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from kaiwa.apps.rentacar.schema import NEWEST, VERSION_TABLE
from kaiwa.apps.rentacar.stores import SETTING, open_store, sqlite_file
from kaiwa.errors import ConfigError

State = Literal["new", "older", "ready"]
PATIENCE_S: Final = 15.0
_SQLITE_PATIENCE_S: Final = 5.0


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """`new`: made at the first use. `older`: brought up to date at the first use."""

    kind: str
    state: State
    detail: str


async def examine_database(setting: str) -> Condition:
    """Look at the database that the setting names, within 15 seconds. Raises ConfigError."""
    if file := sqlite_file(setting):
        return await asyncio.to_thread(_sqlite, file)
    open_store(setting)  # names a form that is none, and a package that is missing
    look = _postgres if setting.startswith("postgres") else _cosmos
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await look(setting)
    except TimeoutError:
        problem = f"the database gave no answer within {PATIENCE_S:.0f} seconds."
        raise ConfigError(SETTING, problem, "Check address and network.") from None


def _sqlite(file: Path) -> Condition:
    nearest = next(parent for parent in (file.absolute(), *file.absolute().parents) if parent.exists())
    if not os.access(nearest, os.W_OK) or (file.exists() and not os.access(file.parent, os.W_OK)):
        raise ConfigError(SETTING, f"{file} is not writable.", "Choose a file: kaiwa serve --database FILE.")
    if not file.exists():
        return Condition(kind="SQLite", state="new", detail=f"{file} is made at the first use")
    try:
        address = f"file:{quote(str(file))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_SQLITE_PATIENCE_S)) as database:
            names = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
            version = _sqlite_version(database) if VERSION_TABLE in names else None
    except sqlite3.DatabaseError as wrong:
        remedy = "Name another file, or restore it from a copy."
        raise ConfigError(SETTING, f"{file} cannot be read as a database.", remedy) from wrong
    return _judged("SQLite", version, "reservations" in names, str(file))


def _sqlite_version(database: sqlite3.Connection) -> str | None:
    row = database.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    return row[0] if row else None


async def _postgres(url: str) -> Condition:
    from kaiwa.apps.rentacar.postgres import look_up

    version, has_tables = await look_up(url)
    return _judged("PostgreSQL", version, has_tables, "answers")


async def _cosmos(setting: str) -> Condition:
    from kaiwa.apps.rentacar.cosmos.account import read_account
    from kaiwa.apps.rentacar.cosmos.containers import NAMES, present_containers

    present = await present_containers(read_account(setting))
    if missing := [name for name in NAMES if name not in present]:
        detail = f"answers; made at the first use: {', '.join(missing)}"
        return Condition(kind="Cosmos DB", state="new", detail=detail)
    return Condition(kind="Cosmos DB", state="ready", detail="answers, with its three containers")


def _judged(kind: str, version: str | None, has_tables: bool, detail: str) -> Condition:
    if version == NEWEST:
        return Condition(kind=kind, state="ready", detail=f"{detail}, schema {version}")
    if version is None and not has_tables:
        return Condition(kind=kind, state="new", detail=f"{detail}; its tables are made at the first use")
    if version is not None and version > NEWEST:
        problem = f"a newer kaiwa wrote it (schema {version})."
        raise ConfigError(SETTING, problem, "Update kaiwa, or name another.")
    older = f"{detail}, schema {version or 'of before versions'}, which the first use brings to {NEWEST}"
    return Condition(kind=kind, state="older", detail=older)
