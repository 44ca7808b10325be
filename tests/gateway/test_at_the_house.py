"""The relay in the house: its addresses for stock SDKs, its keys, its models, its end; before the stand-in of Azure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.raw_upstream import CUT, END, raw_upstream
from tests.gateway.relaying import ANSWER, ASKED, DONE, FINISH, Caller, event, streamed, text
from tests.server.running import InThisLoop, at_home, running

from kaiwa.testing.service import Service, running_service

KEY = "key-of-the-house"
PATH = "/v1/chat/completions"


@asynccontextmanager
async def house(directory: Path, upstreams: list[dict[str, Any]], **given: Any) -> AsyncIterator[InThisLoop]:
    settings = at_home(directory, upstreams=json.dumps(upstreams), api_key=KEY, **given)
    async with running(settings) as server:
        yield server


def azure(service: Service, name: str = "gpt-4o", **given: Any) -> dict[str, Any]:
    return {
        "endpoint": service.url, "deployment": name, "api_key": service.keys[0], "api_version": "2024-10-21",
        "models": [name], **given,
    }  # fmt: skip


@asynccontextmanager
async def sdks(server: InThisLoop) -> AsyncIterator[list[openai.AsyncOpenAI]]:
    (address,) = server.addresses
    clients: list[openai.AsyncOpenAI] = [
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0),
        openai.AsyncOpenAI(base_url=f"{address}/openai/v1", api_key=KEY, max_retries=0),
        openai.AsyncAzureOpenAI(azure_endpoint=address, api_key=KEY, api_version="2024-10-21", max_retries=0),
    ]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


async def test_stock_sdks_need_only_another_address(tmp_path: Path):
    async with (
        running_service() as service,
        house(tmp_path, [azure(service)]) as server,
        sdks(server) as clients,
    ):
        for client in clients:
            words, usage = "", None
            async for chunk in await client.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": "hello"}],
                stream=True,
                stream_options={"include_usage": True},
            ):
                words += "".join(choice.delta.content or "" for choice in chunk.choices)
                usage = chunk.usage or usage
            assert "hello" in words.lower()
            assert usage is not None and usage.completion_tokens > 0
            whole = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hello"}]
            )
            assert whole.choices[0].message.content == words


async def test_models_of_the_pool_are_listed(tmp_path: Path):
    async with (
        running_service() as service,
        house(tmp_path, [azure(service)]) as server,
        sdks(server) as clients,
    ):
        names = [model.id async for model in await clients[0].models.list()]
        assert "gpt-4o" in names
        assert (await clients[0].models.retrieve("gpt-4o")).id == "gpt-4o"


async def test_keys_are_the_house_s_and_refusals_have_the_service_s_form(tmp_path: Path):
    async with running_service() as service, house(tmp_path, [azure(service)], chat_request_mb=1) as server:
        (address,) = server.addresses
        url = f"{address}/v1/chat/completions"
        async with aiohttp.ClientSession() as web:
            async with web.post(url, json=ASKED) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (401, "invalid_api_key")
            keyed = {"api-key": KEY}
            async with web.post(url, data=b"{", headers=keyed) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (400, "invalid_json")
            async with web.post(url, json={"messages": []}, headers=keyed) as refused:
                assert (refused.status, (await refused.json())["error"]["param"]) == (400, "model")
            async with web.post(url, data=BytesIO(b"x" * 1_100_000), headers=keyed) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (413, "request_too_large")
            async with web.post(url, json={**ASKED, "model": "nobody"}, headers=keyed) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (404, "model_not_found")


async def test_a_running_stream_ends_by_its_own_when_the_server_ends(tmp_path: Path):
    go = asyncio.Event()
    script = [*streamed(event(text("a")), go, event(FINISH) + DONE), END]
    async with raw_upstream(script) as upstream, aiohttp.ClientSession() as web:
        entry = {"base_url": f"http://127.0.0.1:{upstream.port}/v1", "api_key": "k", "models": ["m"]}
        async with house(tmp_path, [entry], drain_s=10) as server:
            url = f"{server.addresses[0]}/v1/chat/completions"
            answer = await web.post(url, json=ASKED, headers={"api-key": KEY})
            first = await answer.content.readany()
            server.leave.set()  # as a signal would
            async with asyncio.timeout(20):
                while (refused := await web.post(url, json=ASKED, headers={"api-key": KEY})).status != 503:
                    refused.release()
            assert (await refused.json())["error"]["code"] == "server_shutting_down"
            go.set()
            assert first + await answer.read() == event(text("a"), FINISH) + DONE


async def test_an_answer_shows_whose_request_it_is_and_pages_may_read_it(tmp_path: Path):
    async with raw_upstream(ANSWER) as upstream, aiohttp.ClientSession() as web:
        entry = {"base_url": f"http://127.0.0.1:{upstream.port}/v1", "api_key": "k", "models": ["m"]}
        async with house(tmp_path, [entry]) as server:
            headers = {"api-key": KEY, "origin": "http://localhost:3000"}
            url = f"{server.addresses[0]}/openai/deployments/m/chat/completions?api-version=2024-10-21"
            async with web.post(url, json=ASKED, headers=headers) as answer:
                assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
                assert answer.headers["x-request-id"].startswith("req_")
                assert answer.headers["x-kaiwa-stream-id"].startswith("str_")


@pytest.mark.parametrize("secret", ["word-of-a-prompt", "secret-of-the-service", KEY])
async def test_neither_words_nor_keys_reach_the_log(tmp_path: Path, secret: str, caplog):
    caplog.set_level("DEBUG", logger="kaiwa")
    async with raw_upstream(
        ANSWER, [b"HTTP/1.1 500 word-of-a-prompt\r\nword-of-a-prompt\r\n\r\n"]
    ) as upstream:
        base = f"http://127.0.0.1:{upstream.port}/v1"
        entry = {"base_url": base, "api_key": "secret-of-the-service", "models": ["m"]}
        async with house(tmp_path, [entry]) as server, aiohttp.ClientSession() as web:
            asked = {**ASKED, "messages": [{"role": "user", "content": "word-of-a-prompt"}]}
            for _ in range(2):
                url = f"{server.addresses[0]}/v1/chat/completions"
                async with web.post(url, json=asked, headers={"api-key": KEY}) as answer:
                    await answer.read()
    facts = [record.__dict__ for record in caplog.records]
    assert any(record.get("reason") == "completed" for record in facts)
    assert secret not in repr(facts)


async def test_the_log_shows_the_status_that_a_relayed_request_got(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "kaiwa.server")
    named = {"api-key": KEY, "x-ms-client-request-id": "mine"}
    async with running_service() as service, house(tmp_path, [azure(service)]) as server:
        (address,) = server.addresses
        async with aiohttp.ClientSession(headers=named) as web:
            for body, status in (({**ASKED, "model": "gpt-4o"}, 200), ({**ASKED, "model": "nobody-s"}, 404)):
                async with web.post(f"{address}/v1/chat/completions", json=body) as answer:
                    await answer.read()
                    assert answer.status == status
    told = [record for record in caplog.records if record.message == "request answered"]
    assert [(record.status, record.client_request_id) for record in told] == [(200, "mine"), (404, "mine")]


async def test_log_metric_trailer_and_stream_give_one_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "kaiwa.gateway.stream")
    cut = [*streamed(event(text("a"))), CUT]
    async with raw_upstream(cut) as upstream:
        entry = {"base_url": f"http://127.0.0.1:{upstream.port}/v1", "api_key": "k", "models": ["m"]}
        async with house(tmp_path, [entry]) as server:
            host, port = server.addresses[0].removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            caller = Caller(reader, writer)
            await caller.ask(PATH, ASKED, {"api-key": KEY, "te": "trailers"})
            answer = await caller.answer()
            writer.close()
            async with (
                aiohttp.ClientSession(headers={"api-key": KEY}) as web,
                web.get(f"{server.addresses[0]}/metrics") as page,
            ):
                metrics = await page.text()
    (told,) = (record for record in caplog.records if record.message == "request relayed")
    reason = answer.trailers["x-kaiwa-reason"]
    assert (reason, told.reason) == ("upstream_cut_off", reason)
    assert f"reason={reason} " in answer.body.decode()
    counted = [line for line in metrics.splitlines() if line.startswith("kaiwa_streams_ended_total{")]
    assert [f'reason="{reason}"' in line and line.endswith(" 1.0") for line in counted] == [True]
