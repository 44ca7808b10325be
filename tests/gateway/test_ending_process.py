"""SIGTERM to a real process: what runs finishes, what comes is sent elsewhere, and then the process ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from tests.gateway.raw_upstream import END, RawUpstream, raw_upstream
from tests.gateway.relaying import ASKED, DONE, FINISH, event, streamed, text

from kaiwa.cli.local_server import free_port

START_S = 20


@asynccontextmanager
async def serving(upstream: RawUpstream, home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run `kaiwa serve` in front of an upstream; conversations go to it too, so that no models are loaded."""
    address, port = f"http://127.0.0.1:{upstream.port}", free_port()
    deployment = {"base_url": f"{address}/v1", "models": ["m"], "api_key": "theirs"}
    given = {
        "KAIWA_UPSTREAMS": json.dumps([deployment]),
        "KAIWA_ENGINE": "relay",
        "AZURE_OPENAI_ENDPOINT": address,
        "AZURE_OPENAI_API_KEY": "theirs",
        "AZURE_OPENAI_REALTIME_DEPLOYMENT": "voice",
    }
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "AZURE_"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kaiwa", "serve", "--port", str(port), cwd=home, env=inherited | given
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def is_ready(web: aiohttp.ClientSession, house: str) -> int | None:
    try:
        async with web.get(f"{house}/readyz") as answer:
            return answer.status
    except aiohttp.ClientConnectionError:
        return None


async def until_ready_is(status: int, web: aiohttp.ClientSession, house: str) -> None:
    async with asyncio.timeout(START_S):
        while await is_ready(web, house) != status:  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)


async def test_a_terminated_process_finishes_its_streams_and_takes_no_new_ones(tmp_path: Path):
    go = asyncio.Event()
    script = [*streamed(event(text("a")), go, event(FINISH) + DONE), END]
    async with (
        raw_upstream(script) as upstream,
        serving(upstream, tmp_path) as (process, house),
        aiohttp.ClientSession() as web,
    ):
        await until_ready_is(200, web, house)
        async with web.post(f"{house}/v1/chat/completions", json=ASKED) as answer:
            assert await answer.content.readuntil(b"\n\n") == event(text("a"))
            process.send_signal(signal.SIGTERM)
            await until_ready_is(503, web, house)
            async with web.post(f"{house}/v1/chat/completions", json=ASKED) as refused:
                assert (refused.status, refused.headers["retry-after"]) == (503, "5")
                assert (await refused.json())["error"]["code"] == "server_shutting_down"
            go.set()
            assert await answer.content.read() == event(FINISH) + DONE
        async with asyncio.timeout(10):
            await process.wait()
        assert len(upstream.asked) == 1
