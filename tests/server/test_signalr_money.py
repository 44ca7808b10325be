"""Messages through Azure SignalR Service as money: one house is the service, another publishes to it and pays."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from tests.hub.house import Socket
from tests.server.test_chat_stream import House, house
from tests.server.test_signalr import DONE, ask, page

from kaiwa.events.engine import Stop
from kaiwa.policy.keys import KeyStore

SERVICE_KEY = "k" * 44
PRICES = {"currency": "JPY", "signalr_messages": 1_000_000}
"""A yen for each message."""
OVER = "もう使えません。"


@asynccontextmanager
async def paying(
    directory: Path, yen: int = 1000, key: str = SERVICE_KEY, **given: Any
) -> AsyncIterator[House]:
    """A house whose callers may spend so much a day, and whose hub is at the service that knows one key."""
    (directory / "policy.toml").write_text(f'default = "all"\n[policies.all]\nmoney_per_day = {yen}\n')
    async with house(directory, signalr_service_key=SecretStr(SERVICE_KEY)) as service:
        at = SecretStr(f"Endpoint={service.address};AccessKey={key};Version=1.0;")
        usual = {"policy": directory / "policy.toml", "prices": PRICES, "azure_signalr": at}
        async with house(directory, **(usual | given)) as desk:
            yield desk


async def lumps(socket: Socket, end: str) -> list[str]:
    """Return the messages of an answer, up to one that ends so."""
    came: list[str] = []
    while not came or not came[-1].endswith(end):
        came.append((await socket.record())["arguments"][0])
    return came


async def broadcast(desk: House, message: str, **headers: str) -> float:
    """Send to everybody; return what is left of the caller's money then."""
    body = {"message": message}
    async with desk.http.post(f"{desk.address}/api/broadcast", json=body, headers=headers) as sent:
        assert sent.status == 200, await sent.text()
        return float(sent.headers.get("x-ratelimit-remaining-money", "inf"))


async def told_of(desk: House, **headers: str) -> tuple[dict[str, Any], list[str]]:
    """Return the cost that the status tells, and what Prometheus is told of messages."""
    async with (
        desk.http.get(f"{desk.address}/api/status", headers=headers) as status,
        desk.http.get(f"{desk.address}/metrics", headers=headers) as metrics,
    ):
        lines = (await metrics.text()).splitlines()
        return (await status.json())["cost"], [line for line in lines if line.startswith("kaiwa_signalr_")]


async def test_what_an_answer_costs_in_messages_is_its_askers_and_everybody_who_counts_is_told(
    tmp_path: Path,
) -> None:
    async with paying(tmp_path) as desk, page(desk) as (mine, my_id):
        async with ask(desk, {"prompt": "元気？", "connectionId": my_id}) as answer:
            body = await answer.json()
        messages = len(await lumps(mine, DONE))
        assert (body["cost"], body["currency"]) == (messages, "JPY")
        assert await broadcast(desk, "みんなへ") == 1000 - messages - 1
        cost, figures = await told_of(desk)
    assert cost["signalr_messages"] == {"count": messages + 1, "cost": messages + 1}
    assert (cost["total"], cost["currency"]) == (messages + 1, "JPY")
    assert figures == [
        f"kaiwa_signalr_messages_total {messages + 1}.0",
        f'kaiwa_signalr_cost_total{{currency="JPY"}} {messages + 1}.0',
    ]


async def test_an_answer_ends_with_its_askers_money_as_it_does_with_tokens(tmp_path: Path) -> None:
    async with (
        paying(tmp_path, 1, budget_spent_words=OVER, budget_near_words="") as desk,
        page(desk) as (mine, my_id),
    ):
        async with ask(desk, {"prompt": "長く", "connectionId": my_id}) as answer:
            came = await lumps(mine, ")")
            body = await answer.json()
        assert came[0] == "とても長い話です。" * 40
        assert came[1:] == [f"\n\n⚠️ {OVER} (money_per_day of this key was reached.)"]
        assert (body["ok"], body["error"]["code"]) == (False, "insufficient_quota")
        await desk.commanded(Stop)
        async with ask(desk, {"prompt": "元気？", "connectionId": my_id}) as refused:
            assert refused.status == 429
            assert (await refused.json())["error"]["code"] == "insufficient_quota"
        cost, _ = await told_of(desk)
        assert cost["total"] == 2, "the sentence that says so is paid too"


async def test_a_broadcast_is_its_callers_by_two_kilobytes_and_the_houses_own_nobodys(tmp_path: Path) -> None:
    key, _ = KeyStore(tmp_path / "keys.json").create(time.time())
    caller, owner = {"authorization": f"Bearer {key}"}, {"authorization": "Bearer of-the-house"}
    keyed: dict[str, Any] = {"keys": tmp_path / "keys.json", "api_key": SecretStr("of-the-house")}
    async with paying(tmp_path, **keyed) as desk:
        assert await broadcast(desk, "x" * 5000, **owner) == float("inf")
        assert await broadcast(desk, "x" * 5000, **caller) == 1000 - 3
        assert await broadcast(desk, "x", **caller) == 1000 - 3 - 1
        cost, _ = await told_of(desk, **owner)
    assert cost["signalr_messages"] == {"count": 7, "cost": 7}


async def test_what_the_service_refuses_and_what_goes_through_a_hub_here_costs_nothing(
    tmp_path: Path,
) -> None:
    refused: dict[str, Any] = {"key": "another" * 7}
    own: dict[str, Any] = {"azure_signalr": None}
    for given in (refused, own):
        async with paying(tmp_path, **given) as desk:
            wanted = {"prompt": "元気？", "userId": "花子"}
            async with ask(desk, wanted) as answer:
                assert (await answer.json())["cost"] == 0
            async with ask(desk, wanted) as answer:
                assert float(answer.headers["x-ratelimit-remaining-money"]) > 999
            cost, figures = await told_of(desk)
            assert (cost["total"], cost["signalr_messages"]) == (0, None)
            assert figures == ["kaiwa_signalr_messages_total 0.0"]
