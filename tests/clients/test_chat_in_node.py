"""The `openai` package for JavaScript on chat: at the stand-in of Azure, and at kaiwa without an account."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.server.running import at_home, running

from kaiwa.testing.service import Habits, running_service

PROGRAM = Path(__file__).parent / "js" / "openai-chat.mjs"
KEY = "the-key-of-this-house"


async def seen_by_node(**job: str) -> Any:
    pipe = asyncio.subprocess.PIPE
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    try:
        process = await asyncio.create_subprocess_exec(
            "node", PROGRAM, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
    except FileNotFoundError:
        pytest.fail("node is missing: run `make setup`, or install Node 20 or newer")
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate(json.dumps(job).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode(errors="replace")[-4000:]
    return json.loads(out)


async def test_it_chats_with_the_stand_in_of_azure() -> None:
    async with running_service(habits=Habits(chunks_per_s=50)) as service:
        saw = await seen_by_node(
            url=service.url,
            key=service.key,
            model="chat",
            embedding="text-embedding-3-small",
            words="one two three four five six seven eight nine ten",
            calling='call get_weather {"city": "Kyoto"}',
        )
        assert service.chat.ends["left"] == 1
    assert saw["whole"] == saw["openai"]["words"] == saw["azure"]["words"] == saw["responded"]["words"]
    assert saw["openai"]["finish"] == saw["azure"]["finish"] == "stop"
    assert saw["embedded"] == [256, 256]
    as_everywhere(saw)


async def test_it_chats_with_kaiwa_without_an_account(tmp_path: Path) -> None:
    async with running(at_home(tmp_path, api_key=KEY)) as server:
        saw = await seen_by_node(
            url=server.addresses[0],
            key=KEY,
            model="kaiwa-local",
            embedding="kaiwa-hash-embedding",
            words="Who are you?",
            calling="What's the weather in Kyoto?",
        )
    assert saw["whole"] == saw["openai"]["words"] == saw["azure"]["words"] == saw["responded"]["words"]
    assert "kaiwa" in saw["whole"]
    assert saw["openai"]["tokens"] == saw["azure"]["tokens"] > 5
    assert saw["embedded"] == [512, 512]
    as_everywhere(saw)


def as_everywhere(saw: Any) -> None:
    assert saw["called"] == {"finish": "tool_calls", "name": "get_weather", "arguments": {"city": "Kyoto"}}
    assert saw["responded"]["last"] == "response.completed"
    assert saw["left"] is True
    assert saw["refused"] == {"kind": "BadRequestError", "status": 400}
