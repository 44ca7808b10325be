"""The client of Azure SignalR Service against the service that kaiwa is: order, new tries, counting, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from tests.contract.manifest import rule
from tests.hub.azure_house import KEY, Service, open_service
from tests.hub.bending import Bend, other_status
from tests.hub.house import bent, serving

from kaiwa.errors import UpstreamError
from kaiwa.hub import HubException
from kaiwa.hub.azure import AzureSignalR, read_connection_string
from kaiwa.hub.azure.publisher import Took


@asynccontextmanager
async def publisher(service: Service, hub: str = "chat") -> AsyncIterator[AzureSignalR]:
    made = AzureSignalR(read_connection_string(service.connection_string), hub)
    async with made.running():
        yield made


async def test_a_stream_of_tokens_keeps_its_order_with_one_request_at_a_time() -> None:
    async with open_service() as service, service.client() as client, publisher(service) as azure:
        for number in range(50):
            azure.clients.client(client.id).send("token", f"{number} ")
        told = [(await client.told())[1][0] for _ in range(50)]
        assert told == [f"{number} " for number in range(50)]
        assert azure.counted.messages == azure.counted.units == 50


async def test_everybody_groups_and_users_are_reached_as_with_a_hub_of_ones_own() -> None:
    async with (
        open_service() as service,
        service.client(user="花子") as hanako,
        service.client() as other,
        publisher(service) as azure,
    ):
        await azure.groups.add(hanako.id, "部屋/一")
        await azure.clients.all_except(hanako.id).send("said", "others")
        await azure.clients.user("花子").send("said", "user")
        await azure.clients.group("部屋/一").send("said", "group")
        assert [await hanako.told() for _ in range(2)] == [("said", ["user"]), ("said", ["group"])]
        assert await other.told() == ("said", ["others"])
        await azure.groups.remove(hanako.id, "部屋/一")
        await azure.clients.group("部屋/一").send("said", "nobody")
        await azure.clients.all.send("said", "all")
        assert await hanako.told() == ("said", ["all"])


async def test_a_client_of_the_service_answers_a_call() -> None:
    async with open_service() as service, service.client() as client, publisher(service) as azure:
        asked = asyncio.create_task(azure.clients.client(client.id).invoke("add", 1, 2, returns=int))
        call = await client.socket.record()
        await client.socket.send(type=3, invocationId=call["invocationId"], result=3)
        assert await asked == 3
        with pytest.raises(HubException, match="does not exist"):
            await azure.clients.client("nobody").invoke("add")


async def test_a_message_over_two_kilobytes_counts_as_azure_bills_it() -> None:
    async with open_service() as service, publisher(service) as azure:
        await azure.clients.all.send("token", "x" * 5000)
        assert azure.counted.units == 3


async def test_who_pays_hears_of_what_was_sent_for_them_and_was_taken() -> None:
    everybodys, mine, others = list[int](), list[int](), list[int]()
    async with moody(400, took=everybodys.append) as (_, azure):
        paid, refused = azure.clients_for(mine.append), azure.clients_for(others.append)
        with pytest.raises(UpstreamError):
            await refused.all.send("token", "refused")
        await paid.user("花子").send("token", "x" * 5000)
        await paid.clients(["one", "two"]).send("token", "to each")
        await azure.clients.all.send("token", "for nobody")
    assert (everybodys, mine, others) == ([3, 1, 1, 1], [3, 1, 1], [])


async def test_a_call_that_finds_no_client_is_a_request_and_no_message() -> None:
    heard = list[int]()
    async with open_service() as service, service.client() as client, publisher(service) as azure:
        with pytest.raises(HubException, match="does not exist"):
            await azure.clients_for(heard.append).client("nobody").invoke("add")
        assert (azure.counted.requests, azure.counted.messages, heard) == (1, 0, [])
        asked = asyncio.create_task(azure.clients_for(heard.append).client(client.id).invoke("add"))
        call = await client.socket.record()
        await client.socket.send(type=3, invocationId=call["invocationId"], result=3)
        assert (await asked, heard, azure.counted.units) == (3, [1], 1)


class Moody:
    """A service that answers by a script of statuses, and takes what comes after it."""

    def __init__(self, *statuses: int, after: str | None = None) -> None:
        self.statuses = list(statuses)
        self.after = after
        self.taken: list[bytes] = []
        self.tokens: set[str] = set()
        self.running = self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.running += 1
        self.most = max(self.most, self.running)
        body = await request.body()
        self.tokens.add(request.headers["authorization"])
        await asyncio.sleep(0)
        self.running -= 1
        status = self.statuses.pop(0) if self.statuses else 202
        if status == 202:
            self.taken.append(body)
        headers = {"retry-after": self.after} if self.after is not None and status != 202 else {}
        await Response(status_code=status, headers=headers)(scope, receive, send)


@asynccontextmanager
async def moody(
    *statuses: int, after: str | None = "0", bend: Bend | None = None, took: Took | None = None
) -> AsyncIterator[tuple[Moody, AzureSignalR]]:
    service = Moody(*statuses, after=after)
    async with serving(bent(service, bend or Bend())) as port:
        text = f"Endpoint=http://127.0.0.1;Port={port};AccessKey={KEY};Version=1.0;"
        azure = AzureSignalR(read_connection_string(text), "chat", took=took)
        async with azure.running():
            yield service, azure


@rule("S-60", broken_by=other_status(408, 400))
@rule("S-60", broken_by=other_status(429, 400))
@rule("S-60", broken_by=other_status(503, 400))
async def test_a_busy_service_is_asked_again_and_nothing_overtakes(planted: Bend | None) -> None:
    async with moody(503, 202, 429, 408, 202, bend=planted) as (service, azure):
        sent = [azure.clients.all.send("token", str(number)) for number in range(4)]
        try:
            for one in sent:
                await one
        except UpstreamError:
            raise AssertionError("a message was given up") from None
        assert [body.decode()[-4] for body in service.taken] == ["0", "1", "2", "3"]
        assert (azure.retried, service.most, len(service.tokens)) == (3, 1, 1)


async def test_a_refusal_is_told_once_and_what_follows_goes_on() -> None:
    async with moody(400) as (service, azure):
        with pytest.raises(UpstreamError, match="status 400"):
            await azure.clients.all.send("token", "secret words")
        await azure.clients.all.send("token", "next")
        assert len(service.taken) == 1
        assert azure.counted.failed == 1


async def test_a_service_that_stays_away_is_an_error_that_may_be_tried_again() -> None:
    async with moody(*[503] * 5) as (_, azure):
        with pytest.raises(UpstreamError) as failed:
            await azure.clients.all.send("token", "x")
        assert failed.value.retryable


async def test_what_waits_for_one_audience_is_bounded() -> None:
    async with moody(after=None) as (_, azure):
        with pytest.raises(UpstreamError, match="wait"):
            for _ in range(1002):
                azure.clients.all.send("token", "x")
