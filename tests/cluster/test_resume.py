"""A session is come back to through any process of a house: real `kaiwa serve` processes over one Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cluster.houses import Process
from tests.interaction.test_resume import KEY, SCRIPT, House, Talk
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures

from kaiwa.cli.local_server import free_port
from kaiwa.testing.service import running_service

PATIENCE_S = 60
DESK = """
import asyncio
from pathlib import Path
from kaiwa import Agent, tool

@tool
async def book(name: str) -> str:
    Path("asked").touch()
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    with Path("booked").open("a") as book:
        book.write(name + "\\n")
    return "R-001"

agent = Agent(name="desk", instructions="", tools=[book])
"""

pytestmark = pytest.mark.clients


@asynccontextmanager
async def two_processes(folder: Path, redis: str) -> AsyncIterator[tuple[Process, Process]]:
    (folder / "far_desk.py").write_text(DESK, encoding="utf-8")
    async with running_service(SCRIPT) as service:
        given = {
            "KAIWA_API_KEY": KEY,
            "KAIWA_REDIS_URL": redis,
            "KAIWA_FILLER_MS": "0",
            "AZURE_OPENAI_ENDPOINT": service.url,
            "AZURE_OPENAI_API_KEY": service.key,
            "AZURE_OPENAI_REALTIME_DEPLOYMENT": "voice",
        }
        both = tuple(Process(folder, given, free_port(), agent="far_desk:agent") for _ in range(2))
        try:
            await asyncio.gather(*(one.start() for one in both))
            yield both[0], both[1]
        finally:
            for one in both:
                await one.end()


def at(process: Process) -> House:
    return House(f"ws://127.0.0.1:{process.port}/v1/realtime", None)


async def until_there(path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 another process makes it
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("in_band", [False, True], ids=["address", "first-event"])
async def test_a_tool_that_runs_in_one_process_is_told_once_through_another(
    tmp_path: Path,
    redis_url: str,  # noqa: F811
    in_band: bool,
) -> None:
    async with two_processes(tmp_path, redis_url) as (first, second):
        talk = Talk(at(first))
        await talk.begin()
        await talk.say("book")
        await talk.until("response.done")
        await until_there(tmp_path / "asked")
        last = talk.last_id
        talk.drop()
        talk.house = at(second)
        if in_band:
            await talk.come_back_in_band(last)
        else:
            await talk.come_back(last)
        assert (await talk.until("kaiwa.session.resumed"))["retold"] is False
        (tmp_path / "go").touch()
        assert (await talk.until("response.output_text.done"))["text"] == "The tool said: R-001"
        await talk.until("response.done")
        assert (tmp_path / "booked").read_text() == "Sato\n"

        assert first.running is not None
        first.running.kill()
        await first.running.wait()
        with pytest.raises(Exception, match="1001"):
            await talk.until("never")
        await talk.come_back()
        gone = await talk.until("error")
        assert gone["error"]["code"] == "session_not_resumable" and "is gone" in gone["error"]["message"]
        await talk.begin()
