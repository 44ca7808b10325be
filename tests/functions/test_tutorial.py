"""The system of the tutorial: a prompt by POST, the answer's tokens by SignalR, with a stock JavaScript client."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.functions.client import connected
from tests.functions.conftest import APPS, DEPLOYED, ROOT, served, settings_at

from kaiwa.testing.service import Faults, Habits, Rule, Say, Script, running_service

pytestmark = pytest.mark.clients

PAGE = ROOT / "tests/clients/js/functions_page.mjs"
ANSWER = "はじめまして。 私は\n会話 サーバーです。 よろしく お願い します。"
SCRIPT = Script(rules=(Rule(pattern=".*", answers=(Say(text=ANSWER),)),))
DONE = "\n\n✅ 完了"
# The older one in `make test-clients` only: `original` is of its model too.
BOTH = [
    pytest.param(DEPLOYED / "v1", id="v1", marks=pytest.mark.clients),
    pytest.param(DEPLOYED / "v2", id="v2"),
]


async def ask_as_the_page_does(url: str, prompt: str = "自己紹介して") -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        "node", PAGE, url, prompt, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


@pytest.mark.parametrize("directory", BOTH)
async def test_the_page_logs_the_answer_in_order_and_then_the_mark(directory: Path) -> None:
    async with (
        running_service(SCRIPT, habits=Habits(chunks_per_s=50)) as service,
        served(directory, settings_at(service)) as app,
    ):
        saw = await ask_as_the_page_does(app.url)
    assert "".join(saw["tokens"]) == ANSWER + DONE
    assert len(saw["tokens"]) >= 2
    assert (saw["status"], saw["told"]) == (200, {"ok": True})


async def test_an_app_that_posts_each_token_by_itself_runs_as_it_is() -> None:
    async with running_service(SCRIPT) as service, served(APPS / "original", settings_at(service)) as app:
        saw = await ask_as_the_page_does(app.url)
        [stream] = service.chat.streams
    assert "".join(saw["tokens"]) == ANSWER + DONE
    assert len(saw["tokens"]) == stream.pieces + 1
    assert saw["told"] == {"ok": True}


@pytest.mark.clients
@pytest.mark.parametrize("directory", BOTH)
async def test_an_answer_that_breaks_off_is_told_to_the_log_and_to_the_asker(directory: Path) -> None:
    async with (
        running_service(SCRIPT, Faults(error_after="delta.2")) as service,
        served(directory, settings_at(service)) as app,
        connected(f"{app.url}/api/negotiate") as (page, _),
        aiohttp.ClientSession() as client,
        client.post(f"{app.url}/api/chat_stream", json={"prompt": "やあ"}) as answer,
    ):
        told = await answer.json()
        logged = ""
        while "⚠️" not in logged:
            logged += (await page.next())["arguments"][0]
    assert answer.status == 502
    assert told["error"].startswith("Azure OpenAI: ")
    assert logged.startswith(ANSWER[:3])
    assert DONE not in logged


async def test_events_come_while_the_model_writes_and_end_with_the_page_and_nonsense_is_refused() -> None:
    async with (
        running_service(SCRIPT) as service,
        served(DEPLOYED / "v2", settings_at(service)) as app,
        aiohttp.ClientSession() as client,
    ):
        question = {"messages": [{"role": "user", "content": "やあ"}]}
        async with client.post(f"{app.url}/api/chat-stream", json=question) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-cache"
            assert words_of(await answer.text()) == ANSWER  # line ends included
        service.habits = Habits(chunks_per_s=50, chunks=1000)
        async with client.post(f"{app.url}/api/chat-stream", json=question) as answer:
            first = await answer.content.readuntil(b"\n\n")
            stream = service.chat.streams[-1]
            assert first.startswith(b"data: ")
            assert not stream.ended.is_set()
            answer.close()
        async with asyncio.timeout(10):
            await stream.ended.wait()
        assert stream.end == "left"
        assert stream.pieces < 500
        await refuses_what_it_cannot_understand(client, app.url)


def words_of(text: str) -> str:
    """Return what an answer's events say, as a parser of server-sent events has it."""
    events = text.removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    lines = ["\n".join(line.removeprefix("data: ") for line in event.split("\n")) for event in events]
    return "".join(lines)


async def refuses_what_it_cannot_understand(client: aiohttp.ClientSession, url: str) -> None:
    refused = [
        ("broadcast", b""),
        ("broadcast", b"{"),
        ("broadcast", b'{"message": 3}'),
        ("chat_stream", b"["),
        ("chat_stream", b'{"prompt": 3}'),
        ("chat-stream", b"{}"),
        ("chat-stream", b'{"messages": [{"role": "user", "content": "x", "model": "y"}]}'),
    ]
    for path, body in refused:
        async with client.post(f"{url}/api/{path}", data=body) as answer:
            assert answer.status == 400, (path, body)
            assert " / " in (await answer.json())["error"]


@pytest.mark.clients
@pytest.mark.parametrize("directory", BOTH)
async def test_a_missing_setting_is_named(directory: Path) -> None:
    async with (
        served(directory, {"AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:1"}) as app,
        aiohttp.ClientSession() as client,
        client.post(f"{app.url}/api/chat_stream", json={"prompt": "やあ"}) as answer,
    ):
        told = await answer.json()
    assert answer.status == 500
    assert "AZURE_OPENAI_KEY, AZURE_OPENAI_DEPLOYMENT" in told["error"]


def test_both_apps_broadcast_by_the_same_code() -> None:
    """Each is deployed by itself, so each has a copy."""
    first, second = DEPLOYED / "v1/shared/broadcasting.py", DEPLOYED / "v2/broadcasting.py"
    assert first.read_text(encoding="utf-8") == second.read_text(encoding="utf-8")
