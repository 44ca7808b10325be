"""What every request meets: tokens, verbs, bodies, callers and the sites of pages."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any

import pytest
from tests.contract.manifest import rule
from tests.hub.bending import other_options, other_query, other_status, without_header
from tests.hub.conftest import Opens
from tests.hub.house import HELLO, House, bent
from websockets.exceptions import InvalidStatus

from kaiwa.hub import Asking, Identity

OWN = {"x-requested-with": "XMLHttpRequest"}
SHOP = "https://shop.example"


async def _refusal(home: House, query: str, **headers: str) -> tuple[int, bytes]:
    """Return the status and the words with which an upgrade is refused."""
    try:
        async with home.socket(query, **headers):
            return 101, b""
    except InvalidStatus as refused:
        return refused.response.status_code, refused.response.body or b""


async def _status(home: House, query: str) -> int:
    try:
        async with home.socket(query):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@rule("S-10", broken_by=other_status(404, 200))
async def test_a_request_names_a_connection_that_there_is(house: Opens) -> None:
    async with house() as home:
        nameless = [await home.ask(method, "") for method in ("GET", "POST", "DELETE")]
        unknown = [await home.ask(method, "?id=nobody") for method in ("GET", "POST", "DELETE")]
        upgrade = await _refusal(home, "?id=nobody")

    assert {(one.status, one.body) for one in nameless} == {(400, b"Connection ID required")}
    assert {(one.status, one.body) for one in unknown} == {(404, b"No Connection with that ID")}
    assert upgrade[0] == 404


@rule("S-11", broken_by=other_status(405, 200))
async def test_nothing_is_posted_to_a_web_socket_and_other_verbs_are_none(house: Opens) -> None:
    async with house() as home:
        token = await home.negotiated()
        async with home.socket(f"?id={token}") as socket:
            await socket.hello()
            posted = await home.ask("POST", f"?id={token}", body=b"{}")
        odd = await home.ask("PUT", "?id=x")

    assert posted.status == 405
    assert posted.body == b"POST requests are not allowed for WebSocket connections."
    assert odd.status == 405


@rule("S-12", broken_by=other_status(400, 200))
async def test_a_body_may_hold_many_messages_or_a_part_of_one(house: Opens) -> None:
    async with house() as home:
        place = f"?id={await home.negotiated()}"
        early = await home.ask("POST", place, body=HELLO)  # before there is a poll to answer it
        assert (await home.ask("GET", place)).body == b""
        calls = [
            {"type": 1, "invocationId": str(id), "target": "echo", "arguments": [str(id)]} for id in (1, 2)
        ]
        body = b"".join(json.dumps(call).encode() + b"\x1e" for call in calls)
        taken = [await home.ask("POST", place, body=part) for part in (body[:30], body[30:])]
        cut = await _cut_post(home, place)
        told = b""
        while told.count(b"\x1e") < 3:
            told += (await home.ask("GET", place)).body

    assert (early.status, early.headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert [one.status for one in taken] == [200, 200]
    assert cut == 400
    assert told.startswith(b"{}\x1e")
    assert [json.loads(one)["result"] for one in told.split(b"\x1e")[1:3]] == ["1", "2"]


@rule("S-13", broken_by=other_status(409, 400))
async def test_a_connection_has_one_transport_at_a_time(house: Opens) -> None:
    async with house() as home:
        place = f"?id={await home.negotiated()}"
        stream = await home.begin("GET", place, {"accept": "text/event-stream"})
        await stream.until(b":\r\n")
        twin = await home.ask("GET", place, {"accept": "text/event-stream"})
        other = await home.ask("GET", place)
        stream.writer.close()

    assert twin.status == 409
    assert (other.status, other.body) == (400, b"Cannot change transports mid-connection")


async def _cut_post(home: House, place: str) -> int:
    """Return the answer to a body that is cut. Servers close such a connection, so none sees it on the wire."""
    said = deque([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    answered: list[Any] = []

    async def receive() -> Any:
        return said.popleft()

    async def send(message: Any) -> None:
        answered.append(message)

    query = place.removeprefix("?").encode()
    scope = {"type": "http", "method": "POST", "path": "/room", "query_string": query, "headers": []}
    await bent(home.hub, home.bend)(scope, receive, send)
    return answered[0]["status"]


def _by_token(asking: Asking) -> Identity | None:
    names = {"a": "ada", "b": "bob"}
    return Identity(names[asking.token]) if asking.token in names else None


async def _by_token_later(asking: Asking) -> Identity | None:
    await asyncio.sleep(0)
    return _by_token(asking)


@rule("S-14", broken_by=other_options(authenticate=lambda asking: Identity()))
async def test_every_request_is_the_callers_who_negotiated(house: Opens) -> None:
    ada, bob = {"authorization": "Bearer a"}, {"authorization": "bearer b"}
    async with house(authenticate=_by_token_later) as home:
        token = await home.negotiated(**ada)
        place = f"?id={token}"
        nobody = [await home.ask(method, place) for method in ("GET", "POST", "DELETE")]
        another = [await home.ask(method, place, bob) for method in ("GET", "POST", "DELETE")]
        own = await home.ask("GET", place, ada)

    assert [one.status for one in nobody] == [401, 401, 401]
    assert [one.status for one in another] == [403, 403, 403]
    assert own.status == 200


@rule("S-50", broken_by=other_query(lambda query: query.replace(b"access_token", b"token")))
async def test_a_token_comes_in_a_header_or_where_there_is_none_in_the_query(house: Opens) -> None:
    async with house(authenticate=_by_token) as home:
        assert await _status(home, "?access_token=a") == 101
        denied = await home.ask("POST", "/negotiate?negotiateVersion=1")
        in_query = await home.ask("POST", "/negotiate?negotiateVersion=1&access_token=a")
        async with home.socket("?access_token=a") as socket:
            named = (await (await socket.hello()).invoke("me"))["result"]
        async with home.socket("?access_token=a", authorization="Bearer b") as socket:
            by_header = (await (await socket.hello()).invoke("me"))["result"]
        upgrade = await _refusal(home, "?access_token=forged")

    assert (denied.status, in_query.status, upgrade[0]) == (401, 401, 401)
    assert named == "ada"
    assert by_header == "bob"


async def test_a_token_in_the_query_is_in_no_log(house: Opens, capsys: pytest.CaptureFixture[str]) -> None:
    async with house(authenticate=lambda asking: Identity(asking.token)) as home:
        logging.getLogger("uvicorn.error").setLevel(logging.INFO)
        logging.getLogger("uvicorn.access").setLevel(logging.INFO)
        async with home.socket("?room=7&access_token=sesame") as socket:
            assert (await (await socket.hello()).invoke("me"))["result"] == "sesame"
        await home.ask("POST", "/negotiate?room=8&access_token=sesame")

    logged = "".join(capsys.readouterr())
    assert "room=7" in logged and "room=8" in logged
    assert "sesame" not in logged


@rule("S-51", broken_by=without_header(b"access-control-allow-origin"))
async def test_only_pages_of_known_sites_come_in(house: Opens) -> None:
    shop = {"origin": SHOP}
    async with house(origins=(SHOP,)) as home:
        asked = await home.ask("OPTIONS", "/negotiate", {**shop, "access-control-request-method": "POST"})
        allowed = await home.ask("POST", "/negotiate", shop)
        foreign = await home.ask("POST", "/negotiate", {"origin": "https://evil.example"})
        upgrade = await _refusal(home, "", origin="https://evil.example")
        async with home.socket(origin=SHOP) as socket:
            await socket.hello()
        async with home.socket(origin=f"http://127.0.0.1:{home.port}") as socket:
            await socket.hello()

    assert asked.status == 204
    assert asked.headers["access-control-allow-headers"].split(", ") == [
        "x-requested-with",
        "x-signalr-user-agent",
        "content-type",
        "authorization",
    ]
    assert allowed.headers.get("access-control-allow-origin") == SHOP
    assert allowed.headers.get("access-control-allow-credentials") == "true"
    assert "access-control-allow-origin" not in foreign.headers
    assert upgrade[0] == 403
