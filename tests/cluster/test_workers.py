"""`kaiwa serve --workers 2` as a process: its workers share a port, are replaced when they die, and end together."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures

START_S = 120.0


@dataclass
class Supervised:
    process: asyncio.subprocess.Process
    log: Path

    @property
    def url(self) -> str:
        found = re.search(r"http://\S+", self.log.read_text())
        return found[0] if found else ""

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers."""
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(START_S):
            while not holds():
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.1)


@asynccontextmanager
async def two_workers(folder: Path, redis: str) -> AsyncIterator[Supervised]:
    given = {"KAIWA_ENGINE": "text", "KAIWA_REDIS_URL": redis, "KAIWA_DRAIN_S": "10"}
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "AZURE_"))
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kaiwa", "serve", "--port", "0", "--workers", "2",
            cwd=folder, env=inherited | given, stdout=log, stderr=log,
        )  # fmt: skip
    house = Supervised(process, folder / "log")
    try:
        await house.until(lambda: "2 workers" in house.log.read_text())
        yield house
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def metrics(web: aiohttp.ClientSession) -> str:
    async with web.get("/metrics") as answer:
        return await answer.text()


async def streams_of(web: aiohttp.ClientSession, name: str, count: int) -> set[str]:
    """Ask one conversation again and again; return which processes answered."""
    marks: set[str] = set()
    for _ in range(count):
        asked = {"prompt": "こんにちは", "conversation_id": name, "events": "typed"}
        async with web.post("/api/chat-stream", json=asked) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
            marks.add(answer.headers["x-stream-id"].removeprefix("turn_")[:4])
    return marks


async def processes(web: aiohttp.ClientSession) -> dict[int | None, str]:
    """Return what the status tells of each worker; None: of one that is gone."""
    async with web.get("/api/status") as answer:
        return {one["worker"]: one["state"] for one in (await answer.json())["processes"]}


@pytest.mark.clients
async def test_workers_are_one_house_replace_each_other_and_end_together(
    tmp_path: Path,
    redis_url: str,  # noqa: F811
) -> None:
    async with two_workers(tmp_path, redis_url) as house:
        connector = aiohttp.TCPConnector(force_close=True)  # each request may come to either
        async with aiohttp.ClientSession(house.url, connector=connector) as web:
            for name in ("one", "two", "three"):
                assert len(await streams_of(web, name, 6)) == 1, "a conversation stays where it began"
            assert {'worker="0"', 'worker="1"'} <= set(re.findall(r'worker="\d"', await metrics(web)))

            assert await processes(web) == {0: "answered", 1: "answered"}

            before = house.workers
            os.kill(before[0], signal.SIGKILL)
            await house.until(lambda: house.log.read_text().count("a worker listens") == 3)
            assert len(house.workers) == 2 and house.workers != before
            assert "a worker ended by itself" in house.log.read_text()
            assert 'kaiwa_worker_up{worker="0"} 1.0' in await metrics(web)
            told = await processes(web)
            assert told.pop(None) in ("silent", "lost") and told == {0: "answered", 1: "answered"}
            for name in ("one", "two", "three"):
                assert len(await streams_of(web, name, 2)) == 1

        house.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await house.process.wait() == 0
        assert "Traceback" not in house.log.read_text()


@pytest.mark.clients
async def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path, redis_url: str) -> None:  # noqa: F811
    async with two_workers(tmp_path, redis_url) as house:
        workers = house.workers
        house.process.kill()
        await house.process.wait()
        async with asyncio.timeout(20):
            while any(_lives(pid) for pid in workers):  # noqa: ASYNC110 they are nobody's children now
                await asyncio.sleep(0.1)


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
