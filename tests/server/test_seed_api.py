"""The two addresses of pages that hold their call themselves: a key as a string, and the agent's functions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.paper_media import OFFER, PaperMedia
from tests.server.running import at_home, running
from tests.server.test_calls import BEARER, KEY, SDP, Desk

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Call, Rule, Script

FORM = {"content-type": "application/json"}
WEDNESDAY = {"locationId": "loc1", "startDate": "2099-07-01T10:00", "endDate": "2099-07-01T18:00"}
SHOPS = Script(rules=(Rule(pattern="shops", answers=(Call(name="list_locations"),)),))


CLUMSY = """
from kaiwa import Agent, tool

@tool
def stumble() -> str:
    raise RuntimeError("secret")

agent = Agent(name="clumsy", instructions="", tools=[stumble])
"""


@asynccontextmanager
async def house(tmp_path: Path, **given: Any) -> AsyncIterator[Desk]:
    media, settings = PaperMedia(), at_home(tmp_path, **given)
    answerer = HostAnswerer(settings, lambda agent: ServiceEngine(SHOPS))
    async with running(settings, answerer, media=media) as server, aiohttp.ClientSession() as http:
        yield Desk(server, media, http)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with house(tmp_path, api_key=KEY) as desk:
        yield desk


async def ask(desk: Desk, name: str, arguments: Any, **headers: str) -> tuple[int, Any]:
    body = arguments if isinstance(arguments, bytes) else json.dumps(arguments).encode()
    status, told, _ = await desk.post(f"/api/functions/{name}", body, **{**FORM, **headers})
    return status, told


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_page_is_given_a_key_and_where_to_go(desk: Desk, method: str) -> None:
    async with desk.http.request(method, f"{desk.address}/api/realtime/session", headers=BEARER) as answer:
        told = await answer.json()
        assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    assert told["client_secret"].startswith("ek_") and 0 < told["expires_at"] - time.time() <= 60
    assert told["realtimeUrl"] == f"{desk.address}/v1/realtimertc?model=rentacar"
    assert told["iceServers"] == []


async def test_the_functions_of_that_call_are_the_pages(desk: Desk) -> None:
    _, told, _ = await desk.post("/api/realtime/session", "")
    path = told["realtimeUrl"].removeprefix(desk.address)
    status, _, _ = await desk.post(path, OFFER, **SDP, authorization=f"Bearer {told['client_secret']}")
    assert status == 201
    created = await desk.call.until("session.created")
    assert "list_locations" in [tool["name"] for tool in created["session"]["tools"]]
    desk.call.ask("shops")
    done = await desk.call.until("response.done")
    assert done["response"]["output"][0]["type"] == "function_call"
    desk.call.say("conversation.item.retrieve", item_id=done["response"]["output"][0]["id"])
    await desk.call.until("conversation.item.retrieved")
    assert "function_call_output" not in str(desk.call.heard)


async def test_functions_answer_in_the_shapes_pages_know(desk: Desk) -> None:
    status, told = await ask(desk, "list_locations", b"")
    assert status == 200 and told["success"] is True and told["locations"][0]["id"] == "loc1"
    status, told = await ask(desk, "get_availability", WEDNESDAY)
    assert status == 200
    assert {"success", "locationId", "period", "availableVehicles"} <= told.keys()
    assert told["period"].keys() == {"startDate", "endDate"}
    status, told = await ask(desk, "create_reservation", {**WEDNESDAY, "customerName": "山田"})
    assert status == 200 and told["reservationNumber"].startswith("R-")


async def test_a_refusal_is_an_answer_with_its_reason(desk: Desk) -> None:
    status, told = await ask(desk, "get_availability", {**WEDNESDAY, "locationId": "loc9"})
    assert status == 200
    assert told["success"] is False and told["error"]


@pytest.mark.parametrize(
    "arguments", [b"{", b"[]", {"locationId": "loc1"}, {**WEDNESDAY, "startDate": "soon"}]
)
async def test_arguments_that_do_not_fit_are_named(desk: Desk, arguments: Any) -> None:
    status, told = await ask(desk, "get_availability", arguments)
    assert status == 400 and isinstance(told["error"], str)


async def test_a_function_that_is_not_there_is_not_found(desk: Desk) -> None:
    status, told = await ask(desk, "drop_tables", {})
    assert status == 404 and "drop_tables" in told["error"]


async def test_a_function_that_breaks_is_a_failure_of_the_house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clumsy_desk.py").write_text(CLUMSY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    async with house(tmp_path, api_key=KEY, agent="clumsy_desk:agent") as desk:
        status, told = await ask(desk, "stumble", {})
        assert status == 500
        assert told["error"] == "Function execution failed" and "secret" not in str(told)


async def test_too_much_is_not_read(desk: Desk) -> None:
    status, told = await ask(desk, "list_locations", b" " * 70_000)
    assert (status, told["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("path", ["/api/realtime/session", "/api/functions/list_locations"])
async def test_strangers_get_neither(desk: Desk, path: str) -> None:
    status, _, _ = await desk.post(path, "", authorization="")
    assert status == 401
    status, _, _ = await desk.post(path, "", origin="https://elsewhere.example")
    assert status == 403


async def test_another_agent_may_be_named(desk: Desk) -> None:
    _, told, _ = await desk.post("/api/realtime/session?agent=weather", "")
    assert told["model"] == "weather"
    status, told, _ = await desk.post("/api/realtime/session?agent=nobody", "")
    assert (status, told["error"]["param"]) == (400, "agent")
    status, _, _ = await desk.post("/api/realtime/session?agent=", "")
    assert status == 400


BOOKED = {**WEDNESDAY, "customerName": "山田"}


async def booked(desk: Desk, arguments: Any, **headers: str) -> tuple[int, Any]:
    return await ask(desk, "create_reservation", arguments, **headers)


async def test_one_idempotency_key_books_once_however_often_it_is_sent(desk: Desk) -> None:
    first = await booked(desk, BOOKED, **{"idempotency-key": "order-1"})
    assert first[0] == 200
    # Order and spaces of the arguments say nothing.
    turned = dict(reversed(BOOKED.items()))
    again = await asyncio.gather(*(booked(desk, turned, **{"idempotency-key": "order-1"}) for _ in range(3)))
    assert again == [first] * 3
    other = await booked(desk, BOOKED, **{"idempotency-key": "order-2"})
    unnamed = await booked(desk, BOOKED)
    numbers = {told["reservationNumber"] for _, told in (first, other, unnamed)}
    assert len(numbers) == 3


async def test_requests_at_once_with_one_key_share_one_booking(desk: Desk) -> None:
    answers = await asyncio.gather(
        *(booked(desk, BOOKED, **{"idempotency-key": "order-1"}) for _ in range(5))
    )
    assert len({told["reservationNumber"] for _, told in answers}) == 1


async def test_a_key_stands_for_one_request_only(desk: Desk) -> None:
    await booked(desk, BOOKED, **{"idempotency-key": "order-1"})
    status, told = await booked(desk, {**BOOKED, "customerName": "佐藤"}, **{"idempotency-key": "order-1"})
    assert (status, told["error"]["code"]) == (422, "idempotency_key_reused")
    status, told = await booked(desk, BOOKED, **{"idempotency-key": "x" * 256})
    assert (status, told["error"]["param"]) == (400, "idempotency-key")


async def test_a_key_books_once_also_across_a_restart(tmp_path: Path) -> None:
    numbers = set[str]()
    for _ in range(2):
        async with house(tmp_path, api_key=KEY) as desk:
            status, told = await booked(desk, BOOKED, **{"idempotency-key": "order-1"})
            assert status == 200
            numbers.add(told["reservationNumber"])
    assert len(numbers) == 1
