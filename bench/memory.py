"""Memory of the server process: after start, after a call, and what each idle session adds."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from bench.calls import callers_at_once, fresh_server
from bench.figures import Figure

IDLE_SESSIONS = 100


def measure() -> list[Figure]:
    return asyncio.run(_measure())


def resident_mb(pid: int | str) -> float:
    """Resident memory without the pages that are only mapped files nobody changed."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no VmRSS")


async def _measure() -> list[Figure]:
    async with fresh_server() as server:
        started_mb = resident_mb(server.pid)
        await callers_at_once(server.url, 1)
        warm_mb = resident_mb(server.pid)
        idle_mb = await _idle_sessions_mb(server.url, server.pid)
        await callers_at_once(server.url, 2)
        after_mb = resident_mb(server.pid)
    return [
        Figure("memory.started_mb", round(started_mb, 1), "MB"),
        Figure("memory.after_a_call_mb", round(warm_mb, 1), "MB", 500),
        Figure("memory.after_three_calls_mb", round(after_mb, 1), "MB", 500),
        Figure("memory.per_idle_session_kb", round((idle_mb - warm_mb) * 1024 / IDLE_SESSIONS, 1), "kB"),
    ]


async def _idle_sessions_mb(url: str, pid: int) -> float:
    async with AsyncExitStack() as stack:
        for _ in range(IDLE_SESSIONS):
            socket: ClientConnection = await stack.enter_async_context(connect(url, max_size=None))
            first = json.loads(await socket.recv())
            if first["type"] != "session.created":
                raise RuntimeError(f"the server refused an idle session: {first}")
        return resident_mb(pid)
