"""Where talks are kept: Chainlit's data layer over one SQLite file.

One thread does all the writing, so what was handed over first is written first. Steps are kept whole as
JSON: they are read whole too. Files that visitors add are not kept; the page takes none.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from chainlit.data.base import BaseDataLayer
from chainlit.data.utils import queue_until_user_message
from chainlit.element import Element, ElementDict
from chainlit.step import StepDict
from chainlit.types import Feedback, PageInfo, PaginatedResponse, Pagination, ThreadDict, ThreadFilter
from chainlit.user import PersistedUser, User
from chainlit.utils import utc_now

Result = TypeVar("Result")
NAMELESS = "audio"  # what Chainlit calls a talk whose microphone was opened before a word was said
SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, identifier TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS threads (
    id TEXT PRIMARY KEY, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, name TEXT,
    user_id TEXT REFERENCES users (id), metadata TEXT NOT NULL DEFAULT '{}', tags TEXT NOT NULL DEFAULT '[]');
CREATE TABLE IF NOT EXISTS steps (
    id TEXT PRIMARY KEY, thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS feedback (
    id TEXT PRIMARY KEY, step_id TEXT NOT NULL, value INTEGER NOT NULL, comment TEXT);
CREATE INDEX IF NOT EXISTS threads_of_user ON threads (user_id, updated_at);
CREATE INDEX IF NOT EXISTS steps_of_thread ON steps (thread_id, created_at);
"""


class Threads(BaseDataLayer):
    """The threads in one SQLite file, which is made when it is not there."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lane = ThreadPoolExecutor(1, "threads")
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)  # what people said is for nobody else on the machine
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.execute("PRAGMA busy_timeout = 5000")
        self._database.executescript(SCHEMA)

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._lane, work)

    async def _rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        return await self._run(lambda: self._database.execute(statement, values).fetchall())

    # People

    async def get_user(self, identifier: str) -> PersistedUser | None:
        rows = await self._rows("SELECT * FROM users WHERE identifier = ?", identifier)
        return _user(rows[0]) if rows else None

    async def create_user(self, user: User) -> PersistedUser | None:
        await self._rows(
            "INSERT INTO users VALUES (?, ?, ?, ?) "
            "ON CONFLICT (identifier) DO UPDATE SET metadata = excluded.metadata",
            str(uuid.uuid4()),
            user.identifier,
            utc_now(),
            json.dumps(user.metadata),
        )
        return await self.get_user(user.identifier)

    # Steps

    @queue_until_user_message()
    async def create_step(self, step_dict: StepDict) -> None:
        await self._write(step_dict)

    @queue_until_user_message()
    async def update_step(self, step_dict: StepDict) -> None:
        await self._write(step_dict)

    @queue_until_user_message()
    async def delete_step(self, step_id: str) -> None:
        await self._rows("DELETE FROM steps WHERE id = ?", step_id)

    async def _write(self, step: StepDict) -> None:
        """Keep the newest state of a step; its thread comes into being with its first one."""
        now = utc_now()
        await self._rows(
            "INSERT INTO threads (id, created_at, updated_at) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at",
            step["threadId"],
            now,
            now,
        )
        await self._rows(
            "INSERT INTO steps VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            step["id"],
            step["threadId"],
            step.get("createdAt") or now,
            json.dumps(step, ensure_ascii=False),
        )

    async def get_favorite_steps(self, user_id: str) -> list[StepDict]:
        return []

    async def upsert_feedback(self, feedback: Feedback) -> str:
        identifier = feedback.id or str(uuid.uuid4())
        await self._rows(
            "INSERT INTO feedback VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET value = excluded.value, comment = excluded.comment",
            identifier,
            feedback.forId,
            feedback.value,
            feedback.comment,
        )
        return identifier

    async def delete_feedback(self, feedback_id: str) -> bool:
        await self._rows("DELETE FROM feedback WHERE id = ?", feedback_id)
        return True

    # Elements: the debug view's only, which nobody keeps

    @queue_until_user_message()
    async def create_element(self, element: Element) -> None:
        return None

    async def get_element(self, thread_id: str, element_id: str) -> ElementDict | None:
        return None

    @queue_until_user_message()
    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None:
        return None

    # Threads

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        now = utc_now()
        await self._rows(
            "INSERT INTO threads (id, created_at, updated_at) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at",
            thread_id,
            now,
            now,
        )
        given = {
            "name": None if name == NAMELESS else name,
            "user_id": user_id,
            "metadata": None if metadata is None else json.dumps(metadata, ensure_ascii=False),
            "tags": None if tags is None else json.dumps(tags),
        }
        for column, value in given.items():
            if value is not None:
                await self._rows(f"UPDATE threads SET {column} = ? WHERE id = ?", value, thread_id)

    async def get_thread_author(self, thread_id: str) -> str:
        rows = await self._rows(
            "SELECT identifier FROM threads JOIN users ON users.id = user_id WHERE threads.id = ?", thread_id
        )
        return rows[0]["identifier"] if rows else ""

    async def delete_thread(self, thread_id: str) -> None:
        await self._rows("DELETE FROM threads WHERE id = ?", thread_id)

    async def list_threads(
        self, pagination: Pagination, filters: ThreadFilter
    ) -> PaginatedResponse[ThreadDict]:
        """Return a page of a user's talks in which something was said, the newest first.

        `cursor` is how many came before.
        """
        offset = int(pagination.cursor or 0)
        wanted = f"%{filters.search}%" if filters.search else None
        rows = await self._rows(
            "SELECT threads.*, users.identifier FROM threads JOIN users ON users.id = user_id "
            "WHERE user_id = ? AND name IS NOT NULL AND (? IS NULL OR name LIKE ? OR EXISTS "
            "(SELECT 1 FROM steps WHERE thread_id = threads.id AND body LIKE ?)) "
            "ORDER BY updated_at DESC, threads.rowid DESC LIMIT ? OFFSET ?",
            filters.userId,
            wanted,
            wanted,
            wanted,
            pagination.first + 1,
            offset,
        )
        shown = rows[: pagination.first]
        page = PageInfo(
            hasNextPage=len(rows) > len(shown), startCursor=str(offset), endCursor=str(offset + len(shown))
        )
        return PaginatedResponse(pageInfo=page, data=[_thread(row, []) for row in shown])

    async def get_thread(self, thread_id: str) -> ThreadDict | None:
        rows = await self._rows(
            "SELECT threads.*, users.identifier FROM threads LEFT JOIN users ON users.id = user_id "
            "WHERE threads.id = ?",
            thread_id,
        )
        if not rows:
            return None
        steps = await self._rows(
            "SELECT body FROM steps WHERE thread_id = ? ORDER BY created_at, rowid", thread_id
        )
        return _thread(rows[0], [json.loads(step["body"]) for step in steps])

    async def build_debug_url(self) -> str:
        return ""

    async def close(self) -> None:
        await self._run(self._database.close)
        self._lane.shutdown()


def _user(row: sqlite3.Row) -> PersistedUser:
    return PersistedUser(
        id=row["id"],
        identifier=row["identifier"],
        createdAt=row["created_at"],
        metadata=json.loads(row["metadata"]),
    )


def _thread(row: sqlite3.Row, steps: list[Any]) -> ThreadDict:
    return ThreadDict(
        id=row["id"],
        # Chainlit sorts the talks of its side panel into days by this.
        createdAt=row["updated_at"],
        name=row["name"],
        userId=row["user_id"],
        userIdentifier=row["identifier"],
        tags=json.loads(row["tags"]),
        metadata=json.loads(row["metadata"]),
        steps=steps,
        elements=[],
    )
