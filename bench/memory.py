"""Memory of the server process: after start, after a call, and what each idle session adds."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.calls import callers_at_once, fresh_server
from bench.figures import Figure

FILLING_SESSIONS = 50
IDLE_SESSIONS = 200


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
        per_session_kb, sessions = await per_idle_session_kb(server.url, server.pid)
        await callers_at_once(server.url, 2)
        after_mb = resident_mb(server.pid)
    return [
        Figure("memory.started_mb", round(started_mb, 1), "MB"),
        Figure("memory.after_a_call_mb", round(warm_mb, 1), "MB", 500),
        Figure("memory.after_three_calls_mb", round(after_mb, 1), "MB", 500),
        Figure("memory.per_idle_session_kb", round(per_session_kb, 1), "kB", note=f"{sessions} sessions"),
    ]


async def per_idle_session_kb(url: str, pid: int) -> tuple[float, int]:
    """Return what a silent session adds, and over how many it was taken.

    The first sessions only fill memory that the process already holds: they are not counted. A server that
    is full ends the counting early.
    """
    async with AsyncExitStack() as stack:
        for _ in range(FILLING_SESSIONS):
            await _open(stack, url)
        before_mb = resident_mb(pid)
        opened = 0
        while opened < IDLE_SESSIONS and await _open(stack, url):
            opened += 1
        return (resident_mb(pid) - before_mb) * 1024 / max(1, opened), opened


async def _open(stack: AsyncExitStack, url: str) -> bool:
    """Connect and wait for the greeting; False when the server has no room."""
    try:
        socket = await stack.enter_async_context(connect(url, max_size=None))
        return json.loads(await socket.recv())["type"] == "session.created"
    except (WebSocketException, OSError):
        return False
