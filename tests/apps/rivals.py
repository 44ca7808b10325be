"""Processes that book at the same time as each other, or are killed while they book."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

RIVAL = """
import asyncio, datetime, sys
from kaiwa.apps.rentacar.fleet import Period, Request
from kaiwa.apps.rentacar.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    hours = [datetime.datetime(2026, 11, 28, hour, tzinfo=datetime.UTC) for hour in (1, 9)]
    print("ready", flush=True)
    sys.stdin.readline()
    wishes = [Request("loc1", Period(*hours), f"customer {n}", "ミニバン") for n in range(int(sys.argv[2]))]
    won = await asyncio.gather(*(store.reserve(wish) for wish in wishes))
    await store.aclose()
    print(sum(booked is not None for booked in won))

asyncio.run(main())
"""

ENDLESS = """
import asyncio, datetime, itertools, sys
from kaiwa.apps.rentacar.fleet import Period, Request
from kaiwa.apps.rentacar.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    await store.locations()
    print("ready", flush=True)
    day = datetime.datetime(2027, 1, 1, 1, tzinfo=datetime.UTC)
    for n in itertools.count():
        start = day + datetime.timedelta(days=n)
        wish = Request("loc1", Period(start, start + datetime.timedelta(hours=8)), f"customer {n}", "ミニバン")
        booked = await store.reserve(wish)
        print(booked.number, flush=True)

asyncio.run(main())
"""


@asynccontextmanager
async def program(source: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Python source as a process that has said `ready`; killed at the end if it still runs."""
    pipes: dict[str, Any] = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", source, *arguments, **pipes)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
