"""Bindings served by an Azure SignalR Service: the one of AzureSignalRConnectionString, played by kaiwa."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from tests.functions.client import connected
from tests.functions.conftest import APPS, served
from tests.hub.azure_house import KEY, open_service

from kaiwa.cli.local_server import free_port
from kaiwa.errors import ConfigError

SETTING = "AzureSignalRConnectionString"


async def test_the_service_of_the_connection_string_gets_messages_and_clients(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        open_service() as service,
        served(APPS / "kitchen", {"HUB": "chat", SETTING: service.connection_string}) as app,
        aiohttp.ClientSession() as http,
        connected(f"{app.url}/v1/negotiate", "aiko") as (listener, connection_id),
    ):
        assert "must be Serverless" in caplog.text
        assert KEY not in caplog.text
        assert connection_id in service.local.hub("chat").switchboard.registry.connections
        for action in (
            {"target": "token", "arguments": ["to all"]},
            {"action": "add", "groupName": "g/1", "connectionId": connection_id},
            {"target": "token", "arguments": ["to a group"], "groupName": "g/1"},
            {"action": "removeAll", "connectionId": connection_id},
            {"target": "token", "arguments": ["to nobody"], "groupName": "g/1"},
            {"action": "add", "groupName": "u", "userId": "aiko"},
            {"target": "token", "arguments": ["to a user's group"], "groupName": "u"},
            {"action": "removeAll", "userId": "aiko"},
            {"target": "token", "arguments": ["to nobody"], "groupName": "u"},
            {"target": "token", "arguments": ["to one"], "connectionId": connection_id},
        ):
            await post(http, f"{app.url}/v1/send", action)
        said = [(await listener.next())["arguments"][0] for _ in range(4)]
    assert said == ["to all", "to a group", "to a user's group", "to one"]


async def test_a_service_that_refuses_is_told_with_what_to_look_at() -> None:
    async with open_service() as service:
        wrong = service.connection_string.replace(KEY, "x" * 40)
        async with (
            served(APPS / "kitchen", {"HUB": "chat", SETTING: wrong}) as app,
            aiohttp.ClientSession() as http,
        ):
            status, told = await post(http, f"{app.url}/v1/send", {"target": "token", "arguments": []})
    assert (status, told["error"]["code"]) == (500, "signalr_service_refused")
    assert "Serverless" in told["error"]["message_ja"]


async def test_a_service_that_cannot_be_reached_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaiwa.hub.azure.requests.FIRST_PAUSE_S", 0.001)
    nowhere = f"Endpoint=http://127.0.0.1:{free_port()};AccessKey={KEY};Version=1.0;"
    async with (
        served(APPS / "kitchen", {"HUB": "chat", SETTING: nowhere}) as app,
        aiohttp.ClientSession() as http,
    ):
        status, told = await post(http, f"{app.url}/v1/send", {"target": "token", "arguments": []})
    assert (status, told["error"]["code"]) == (500, "signalr_service_away")
    assert KEY not in str(told)


async def test_a_connection_string_that_is_none_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match=SETTING):
        async with served(APPS / "kitchen", {"HUB": "chat", SETTING: "Endpoint=nowhere"}):
            pytest.fail("it was served")


async def post(http: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any]:
    async with http.post(url, json=body) as answer:
        told = await answer.json() if "json" in answer.content_type else None
        return answer.status, told
