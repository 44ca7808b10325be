"""Memory of the server process: after start, after a call, and what each idle session adds."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from websockets.asyncio.client import connect

from bench.calls import callers_at_once, fresh_server
from bench.figures import Figure
from bench.here import server_here

FIRST_SESSIONS = 5
IDLE_SESSIONS = 30


def measure() -> list[Figure]:
    return asyncio.run(_measure())


def resident_mb(pid: int | str) -> float:
    """Return VmRSS, mapped files included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no VmRSS")


async def _measure() -> list[Figure]:
    async with fresh_server() as server:
        started_mb = resident_mb(server.pid)
        await callers_at_once(server.url, 1)
        warm_mb = resident_mb(server.pid)
        await callers_at_once(server.url, 2)
        after_mb = resident_mb(server.pid)
    per_session_kb = await per_idle_session_kb()
    return [
        Figure("memory.started_mb", round(started_mb, 1), "MB"),
        Figure("memory.after_a_call_mb", round(warm_mb, 1), "MB", 500),
        Figure("memory.after_three_calls_mb", round(after_mb, 1), "MB", 500),
        Figure(
            "memory.per_idle_session_kb", round(per_session_kb, 1), "kB", note=f"{IDLE_SESSIONS} sessions"
        ),
    ]


async def per_idle_session_kb() -> float:
    """Return what Python holds for one silent session of a server inside this process.

    Resident memory cannot tell: hundreds of sessions fit into pages that loading the models left free.
    """
    async with server_here() as url:
        async with _idle_callers(url, FIRST_SESSIONS):
            gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        async with _idle_callers(url, IDLE_SESSIONS):
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return (after - before) / 1024 / IDLE_SESSIONS


@asynccontextmanager
async def _idle_callers(url: str, count: int) -> AsyncGenerator[None]:
    """Connect from a process of their own, whose memory is not counted."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.memory", f"{url}rentacar", str(count),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    greeted = int(await process.stdout.readline() or b"0")
    if greeted != count:
        raise RuntimeError(f"the server greeted {greeted} of {count} idle sessions")
    yield
    process.stdin.close()
    await process.wait()


async def _be_idle(url: str, count: int) -> None:
    async with AsyncExitStack() as stack:
        greeted = 0
        for _ in range(count):
            socket = await stack.enter_async_context(connect(url, max_size=None))
            greeted += json.loads(await socket.recv())["type"] == "session.created"
        print(greeted, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_be_idle(sys.argv[1], int(sys.argv[2])))
