"""Agents' answers in text over the pool: whose they are, in the log and in the books of limits."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import aiohttp
import pytest
from tests.gateway.raw_upstream import END, raw_upstream
from tests.gateway.relaying import DONE, FINISH, USAGE, event, streamed, text
from tests.server.running import at_home, running
from tests.server.test_traces import upstreams

from kaiwa.policy.keys import KeyStore

POLICY = """
default = "poor"
[policies.poor]
money_per_day = 0.001
"""
PRICES = {"currency": "USD", "models": {"gpt-4o": {"input": 100, "output": 100}}}
ANSWER = [*streamed(event(text("はい"), FINISH, USAGE) + DONE), END]


async def test_an_answer_spends_its_callers_money_and_the_log_says_whose_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    key, record = KeyStore(tmp_path / "keys.json").create(time.time())
    caplog.set_level(logging.INFO, "kaiwa")
    async with raw_upstream(ANSWER) as service:
        settings = at_home(
            tmp_path,
            engine="text",
            policy=tmp_path / "policy.toml",
            keys=tmp_path / "keys.json",
            prices=PRICES,
            upstreams=upstreams(service.port),
        )
        headers = {"authorization": f"Bearer {key}"}
        async with (
            running(settings, as_configured=True) as server,
            aiohttp.ClientSession(server.addresses[0], headers=headers) as http,
        ):
            async with http.post("/api/chat-stream", json={"prompt": "元気？"}) as answer:
                assert (answer.status, "[DONE]" in await answer.text()) == (200, True)
            async with http.post("/api/chat-stream", json={"prompt": "元気？"}) as refused:
                assert (refused.status, int(refused.headers["retry-after"]) > 0) == (429, True)
                assert "money" in (await refused.json())["error"]["message"]
    (line,) = [vars(one) for one in caplog.records if one.message == "request relayed"]
    assert record.id in line["caller"] and key not in str(line)


async def test_the_cost_that_a_hubs_answer_tells_is_that_of_the_model_which_gave_it(tmp_path: Path) -> None:
    async with raw_upstream(ANSWER) as service:
        settings = at_home(tmp_path, engine="text", prices=PRICES, upstreams=upstreams(service.port))
        async with (
            running(settings, as_configured=True) as server,
            aiohttp.ClientSession(server.addresses[0]) as http,
            http.post("/api/chat_stream", json={"prompt": "元気？", "userId": "花子"}) as answer,
        ):
            told = await answer.json()
    assert told["usage"]["input_tokens"] > 0
    assert told["cost"] == pytest.approx(sum(told["usage"].values()) * 100 / 1_000_000)
