"""The stand-in of the Realtime service in a process of its own, as benchmarks need it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from kaiwa.cli.local_server import free_port

KEY = "key"
_PATIENCE_S = 60.0


@asynccontextmanager
async def emulated(*options: str) -> AsyncGenerator[int]:
    """Run `kaiwa emulate` with these options until the block is left; give its port."""
    port = free_port()
    command = (sys.executable, "-m", "kaiwa", "emulate", "--port", str(port), "--key", KEY, *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not await _listens(port):  # noqa: ASYNC110 another process tells nobody
                await asyncio.sleep(0.1)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
