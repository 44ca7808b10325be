"""What goes wrong with a database, at its statements: SQLAlchemy tells of each one before it is executed.

Knows SQL no further than which statement writes. For stores over SQLAlchemy: SQLite and PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.util import await_only

from kaiwa.testing.faults.strikes import strikes_here

_LOCK: Final = "BEGIN IMMEDIATE"
_WRITES: Final = ("INSERT", "UPDATE", "DELETE")


def disturb_stores(database: Path | None) -> None:
    """Let the stores of this process feel the faults of whoever uses them, from now on.

    `database` is the SQLite file whose lock another program may hold; None: there is none.
    """

    def before(_: Any, __: Any, statement: str, *___: Any) -> None:
        _strike(statement, database)

    event.listen(Engine, "before_cursor_execute", before)


def _strike(statement: str, database: Path | None) -> None:
    strikes = strikes_here()
    if slow := strikes.chosen("store-slow"):
        await_only(asyncio.sleep(slow.number("for_ms") / 1000))
    if database is not None and statement == _LOCK and (locked := strikes.due("store-locked")):
        hold_the_lock(database, locked.number("for_s"))
    if statement.startswith(_WRITES) and strikes.due("store-down"):
        lost = sqlite3.OperationalError("a fault on demand: the connection was lost")
        raise OperationalError(statement, None, lost)


def hold_the_lock(database: Path, for_s: float) -> threading.Thread:
    """Take the file's write lock as another program would, and let go of it after this time."""
    taken = threading.Event()

    def hold() -> None:
        other = sqlite3.connect(database, timeout=for_s, isolation_level=None)
        try:
            other.execute(_LOCK)
            taken.set()
            release.wait(for_s)
            other.execute("ROLLBACK")
        finally:
            taken.set()
            other.close()

    release = threading.Event()
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    taken.wait(for_s)
    return holder
