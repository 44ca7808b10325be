"""The bindings of Azure Functions: rule S-59, on the platform's worker code with kaiwa as the service."""

from __future__ import annotations

from typing import Any

import aiohttp
from tests.contract.manifest import rule
from tests.functions.client import connected
from tests.functions.conftest import APPS, served
from tests.hub.bending import Bend, other_words


@rule("S-59", broken_by=other_words(b'"arguments":["to a user"]', b'"arguments":["to a guest"]'))
async def test_bindings_connect_clients_send_to_whom_they_name_and_run_functions(
    planted: Bend | None,
) -> None:
    bend = planted or Bend()
    async with (
        served(APPS / "kitchen", {"HUB": "chat"}) as app,
        aiohttp.ClientSession() as http,
        connected(f"{app.url}/v1/negotiate", "aiko", bend.said) as (first, first_id),
        connected(f"{app.url}/v1/negotiate", "ben", bend.said) as (second, _),
    ):

        async def send(body: Any) -> None:
            async with http.post(f"{app.url}/v1/send", json=body) as answer:
                assert answer.status == 200, await answer.text()

        async with http.post(f"{app.url}/v1/elsewhere") as answer:
            assert answer.status == 200
        await send({"target": "token", "arguments": ["one object", 1]})
        await send({"target": "token", "arguments": ["to one"], "connectionId": first_id, "userId": "ben"})
        await send({"target": "token", "arguments": ["to a user"], "userId": "ben"})
        await send([{"action": "add", "groupName": "g", "connectionId": first_id}])
        await send([{"action": "add", "groupName": "g", "userId": "ben"}])
        await send([{"target": "token", "arguments": ["a"], "groupName": "g"}])
        await send(
            [
                {"action": "remove", "groupName": "g", "connectionId": first_id},
                {"target": "token", "arguments": ["b"], "groupName": "g"},
                {"action": "removeAll", "userId": "ben"},
                {"target": "token", "arguments": ["c"], "groupName": "g"},
                {"target": "end", "arguments": []},
            ]
        )
        assert [await first.next() for _ in range(4)] == [
            {"type": 1, "target": "token", "arguments": ["one object", 1]},
            {"type": 1, "target": "token", "arguments": ["to one"]},
            {"type": 1, "target": "token", "arguments": ["a"]},
            {"type": 1, "target": "end", "arguments": []},
        ]
        assert [(await second.next())["arguments"] for _ in range(5)] == [
            ["one object", 1],
            ["to a user"],
            ["a"],
            ["b"],
            [],
        ]
        assert (await second.invoke("add", 2, 3))["result"] == {"sum": 5, "user": "ben"}
