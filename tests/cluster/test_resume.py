"""A session is come back to through any process of a house: real `kaiwa serve` processes over one Redis."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from tests.cluster.houses import Process
from tests.interaction.test_resume import KEY, SCRIPT, House, Talk
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures
from tests.transports.webrtc.aiortc_peer import AiortcPeer, aiortc_peer

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

LONG_DESK = DESK.replace(
    """    while not Path("go").exists():
        await asyncio.sleep(0.02)
""",
    "    await asyncio.sleep(20)\n",
)
assert LONG_DESK != DESK, "this tool takes its time"

pytestmark = pytest.mark.clients


@asynccontextmanager
async def two_processes(folder: Path, redis: str, desk: str = DESK) -> AsyncIterator[tuple[Process, Process]]:
    (folder / "far_desk.py").write_text(desk, encoding="utf-8")
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


async def dial(peer: AiortcPeer, process: Process, query: str) -> str:
    """Call a process; return the token to come back with, if there is a new one."""
    url = f"http://127.0.0.1:{process.port}/v1/realtime/calls?{query}&kaiwa_events=on"
    headers = {"content-type": "application/sdp", "api-key": KEY}
    async with (
        aiohttp.ClientSession() as web,
        web.post(url, data=await peer.offer(), headers=headers) as said,
    ):
        assert said.status == 201, await said.text()
        await peer.accept(await said.text())
        token = said.headers.get("x-kaiwa-resume", "")
    await asyncio.wait_for(peer.opened.wait(), PATIENCE_S)
    return token


async def until(peer: AiortcPeer, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while (frame := json.loads(await peer.frames.get()))["type"] != kind:
            pass
    return frame


def media_of(process: Process) -> list[int]:
    """Return the process ids of what carries its sound."""
    assert process.running is not None
    pid = process.running.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


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


async def test_a_call_killed_within_a_tool_of_twenty_seconds_hears_its_result_once_over_a_socket(
    tmp_path: Path,
    redis_url: str,  # noqa: F811
) -> None:
    async with two_processes(tmp_path, redis_url, LONG_DESK) as (first, second), aiortc_peer() as caller:
        talk = Talk(at(second))
        talk.token = await dial(caller, first, "model=desk&resume=on")
        await until(caller, "session.created")
        assert caller.channel is not None
        content = [{"type": "input_text", "text": "book"}]
        item = {"type": "message", "role": "user", "content": content}
        caller.channel.send(json.dumps({"type": "conversation.item.create", "item": item}))
        caller.channel.send(json.dumps({"type": "response.create"}))
        last = await until(caller, "response.done")
        await until_there(tmp_path / "asked")
        for process in media_of(first):
            os.kill(process, signal.SIGKILL)

        await talk.come_back(last["event_id"])
        assert (await talk.until("kaiwa.session.resumed"))["retold"] is False
        talk.patience_s = PATIENCE_S
        answer = await talk.until("response.output_audio_transcript.done")
        await talk.until("response.done")
        assert answer["transcript"] == "The tool said: R-001"
        await talk.say("thank you")
        assert (await talk.until("response.output_audio_transcript.done"))["transcript"] == "thank you"
        assert (tmp_path / "booked").read_text() == "Sato\n"
        ids = [frame["event_id"] for frame in talk.transcript()]
        assert len(ids) == len(set(ids)), "nothing is told twice"


async def test_a_socket_of_one_process_comes_back_as_a_call_through_another(
    tmp_path: Path,
    redis_url: str,  # noqa: F811
) -> None:
    async with two_processes(tmp_path, redis_url) as (first, second), aiortc_peer() as caller:
        talk = Talk(at(first))
        await talk.begin()
        await talk.send("session.update", session={"type": "realtime", "output_modalities": ["audio"]})
        await talk.until("session.updated")
        await talk.say("book")
        await talk.until("response.done")
        last = talk.last_id
        talk.drop()
        await dial(caller, second, f"resume={talk.token}&last_event_id={last}")
        assert (await until(caller, "kaiwa.session.resumed"))["retold"] is False
        (tmp_path / "go").touch()
        answer = await until(caller, "response.output_audio_transcript.done")
        assert answer["transcript"] == "The tool said: R-001"
        async with asyncio.timeout(PATIENCE_S):
            while not np.any(np.abs(await caller.hears(960)) > 500):
                pass  # silence before the answer's sound
        assert (tmp_path / "booked").read_text() == "Sato\n"
