"""A server inside this process, so that its tasks and its memory can be counted from within."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from kaiwa.cli.local_server import free_port
from kaiwa.cli.serving import read_settings
from kaiwa.server.app import create_app


@asynccontextmanager
async def server_here() -> AsyncGenerator[str]:
    """Yield the URL up to and including `?model=`."""
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        port = free_port()
        settings = read_settings(host="127.0.0.1", port=port, database=Path(folder) / "bench.db")
        config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=port, log_level="warning")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 uvicorn offers a flag only
            await asyncio.sleep(0.05)
        try:
            yield f"ws://127.0.0.1:{port}/v1/realtime?model="
        finally:
            server.should_exit = True
            await serving
