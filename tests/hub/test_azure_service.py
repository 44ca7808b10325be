"""What Azure SignalR Service promises of its data plane, its tokens and its webhooks, kept by kaiwa's."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import jwt
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.contract.manifest import rule
from tests.hub.azure_house import KEY, SECOND, Service, open_service
from tests.hub.bending import Bend, other_status, other_words, without_header
from tests.hub.house import serving

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.hub.azure import AzureSignalR, read_connection_string
from kaiwa.hub.azure.service.upstream import Template, WebUpstream
from kaiwa.hub.azure.tokens import signed, user_claims

Opens = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def azure(planted: Bend | None) -> Opens:
    """Open a service, with what is planted in it."""

    def opens(**given: Any) -> AbstractAsyncContextManager[Service]:
        return open_service(planted, **given)

    return opens


@rule("S-52", "S-60", broken_by=other_status(202, 500))
async def test_a_connection_string_is_all_that_a_publisher_needs(azure: Opens) -> None:
    async with azure() as service, service.client() as client:
        host, _, port = service.url.rpartition(":")
        text = f" endpoint={host};PORT={port};accesskey={KEY};version=1.9; "
        publisher = AzureSignalR(read_connection_string(text), "Chat", first_pause_s=0.001)
        async with publisher.running():
            try:
                for word in ("一", "二", "三"):
                    await publisher.clients.client(client.id).send("token", word)
            except UpstreamError:
                raise AssertionError("the service did not take a message") from None
        assert [(await client.told())[1] for _ in range(3)] == [["一"], ["二"], ["三"]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Endpoint=https://a.example",
        f"AccessKey={KEY}",
        f"Endpoint=ftp://a.example;AccessKey={KEY}",
        f"Endpoint=https://a.example;endpoint=https://b.example;AccessKey={KEY}",
        f"Endpoint=https://a.example;AccessKey={KEY};Version=2.0",
        f"Endpoint=http://a.example;Port=eighty;AccessKey={KEY}",
        "Endpoint=https://a.example;AuthType=password",
        "Endpoint=https://a.example;AuthType=azure.app;ClientId=c",
        "not one at all",
    ],
)
def test_a_connection_string_that_is_wrong_is_refused_without_its_key(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_connection_string(text)
    assert KEY not in str(refused.value)


def test_every_part_of_a_connection_string_counts() -> None:
    text = f"Endpoint=https://a.example/;ClientEndpoint=https://c.example;ServerEndpoint=https://s.example;AccessKey={KEY}=="
    read = read_connection_string(text)
    assert (read.url, read.client_url, read.key) == ("https://s.example", "https://c.example", f"{KEY}==")
    assert KEY not in repr(read)
    entra = read_connection_string("Endpoint=https://a.example;AuthType=azure.msi;ClientId=who").entra
    assert entra is not None
    assert (entra.managed, entra.client_id) == (True, "who")


@rule("S-53", broken_by=other_status(401, 200))
async def test_a_token_is_good_by_either_key_and_only_for_its_address(azure: Opens) -> None:
    async with azure() as service:
        path = "/api/v1/hubs/chat"
        here, body = f"{service.url}{path}", {"target": "t", "arguments": []}
        claims = {"aud": here, "exp": 4102444800}
        good = [
            signed(here, KEY, 60),
            signed(here, SECOND, 60),
            signed(f"{here.upper()}?api-version=2022-06-01", KEY, 60),
            signed(f"http://proxy.example{path}", KEY, 60),
        ]
        bad = [
            "x",
            signed(here, KEY, -120),
            signed(f"{here}/users/u", KEY, 60),
            signed(here, "another-key-that-is-of-no-use-here-0123456789", 60),
            jwt.encode({"aud": here}, KEY, algorithm="HS256"),
            jwt.encode(claims | {"x": "y" * 5000}, KEY, algorithm="HS256"),
        ]
        assert [(await service.call("POST", path, body, token=one)).status for one in good] == [202] * 4
        refused = [await service.call("POST", path, body, token=one) for one in bad]
    assert {one.status for one in refused} == {401}
    assert all(one.code.startswith("Error.Token") for one in refused)


@rule("S-54", broken_by=other_words(b"ASRS", b"none"))
@rule("S-55", broken_by=other_status(200, 500))
async def test_a_client_enters_with_its_token_and_is_who_the_service_says(azure: Opens) -> None:
    async with azure() as service:
        async with service.client("Chat", "ASRS-user", sub="somebody else", role="admin") as client:
            assert (await service.call("HEAD", "/users/ASRS-user")).status == 200
            assert (await service.call("HEAD", "/users/somebody%20else")).status == 404
            await service.call("POST", "/users/ASRS-user/:send", {"target": "t", "arguments": ["ASRS"]})
            assert await client.told() == ("t", ["ASRS"])
        given = service.local.negotiated(
            service.url, "Chat", 60, "u", {"exp": 1, "asrs.s.uid": "x", "role": "a"}
        )
        assert given.url == f"{service.url}/client/?hub=chat"
        assert given.access_token is not None
        claims = jwt.decode(given.access_token, options={"verify_signature": False})
        assert (claims["aud"], claims["asrs.s.uid"]) == (given.url, "u")
        assert user_claims(claims) == {"exp": 1, "asrs.s.uid": "x", "role": "a"}
        elsewhere = f"{service.url}/client/negotiate?hub=other&negotiateVersion=1"
        headers = {"authorization": f"Bearer {given.access_token}"}
        async with service.http.post(elsewhere, headers=headers) as refused:
            assert refused.status == 401


MESSAGE = {"target": "said", "arguments": [1]}


@rule("S-56", broken_by=without_header(b"x-ms-error-code"))
async def test_every_call_answers_as_the_service_does(azure: Opens) -> None:
    async with azure() as service, service.client(user="u") as client:
        calls: list[tuple[str, str, Any, int, str]] = [
            ("GET", "/api/health", None, 200, ""),
            ("HEAD", "/api/v1/health", None, 200, ""),
            ("POST", "/:send", MESSAGE, 202, ""),
            ("POST", "/api/v1/hubs/chat", MESSAGE, 202, ""),
            ("POST", f"/connections/{client.id}/:send", MESSAGE, 202, ""),
            ("POST", "/connections/nobody/:send", MESSAGE, 202, ""),
            ("POST", "/api/v1/hubs/chat/users/u", MESSAGE, 202, ""),
            ("PUT", f"/groups/g/connections/{client.id}", None, 200, ""),
            ("PUT", "/groups/g/connections/nobody", None, 404, "Error.Connection.NotExisted"),
            ("POST", "/api/v1/hubs/chat/groups/g", MESSAGE, 202, ""),
            ("HEAD", "/groups/g", None, 200, ""),
            ("HEAD", "/groups/none", None, 404, "Warning.Group.NotExisted"),
            ("GET", f"/api/v1/hubs/chat/connections/{client.id}", None, 200, ""),
            ("GET", "/api/v1/hubs/chat/connections/none", None, 404, "Warning.Connection.NotExisted"),
            ("HEAD", "/users/none", None, 404, "Warning.User.NotExisted"),
            ("DELETE", f"/connections/{client.id}/groups", None, 200, ""),
            ("HEAD", "/groups/g", None, 404, "Warning.Group.NotExisted"),
            ("PUT", "/users/u/groups/g", None, 200, ""),
            ("HEAD", "/users/u/groups/g", None, 200, ""),
            ("GET", "/api/v1/hubs/chat/groups/g/users/u", None, 200, ""),
            ("DELETE", "/users/u/groups", None, 200, ""),
            ("HEAD", "/users/u/groups/g", None, 404, "Info.User.NotInGroup"),
            ("POST", f"/connections/{client.id}/streams/s/:send", {"item": 1}, 202, ""),
            ("POST", f"/connections/{client.id}/streams/s/:complete", None, 202, ""),
            ("POST", "/users/none/:closeConnections", None, 204, ""),
            ("POST", "/groups/none/:closeConnections", None, 204, ""),
            ("DELETE", "/connections/none", None, 200, ""),
        ]
        for method, path, body, status, code in calls:
            told = await service.call(method, path, body)
            assert (told.status, told.code) == (status, code), (method, path)
        assert [await client.told() for _ in range(5)] == [("said", [1])] * 5
        assert (await client.socket.record())["type"] == 2
        assert (await client.socket.record())["type"] == 3
        gone = await service.call("DELETE", f"/connections/{client.id}", query={"reason": "bye"})
        assert gone.status == 200
        assert await client.socket.record() == {"type": 7, "error": "bye"}


@rule("S-56", broken_by=other_status(200, 500))
async def test_users_that_were_put_into_a_group_offline_are_in_it_when_they_come(azure: Opens) -> None:
    async with azure() as service:
        assert (await service.call("PUT", "/users/u/groups/later", query={"ttl": 60})).status == 200
        assert (await service.call("PUT", "/users/u/groups/over", query={"ttl": 0})).status == 200
        async with service.client(user="u") as client:
            assert (await service.call("HEAD", "/groups/over")).status == 404
            await service.call("POST", "/groups/later/:send", MESSAGE)
            assert await client.told() == ("said", [1])


@rule("S-56", broken_by=other_status(202, 200))
async def test_a_transaction_does_everything_for_whom_its_filter_takes(azure: Opens) -> None:
    async with (
        azure() as service,
        service.client(user="a-1") as one,
        service.client(user="b-1") as two,
    ):
        commands = [
            {"type": "JoinGroup", "group": "g"},
            {"type": "SendMessage", "message": {"target": "said", "arguments": ["a"]}},
        ]
        done = await service.call("POST", "/:execute", commands, query={"filter": "startswith(userId, 'a-')"})
        assert done.status == 202
        assert await one.told() == ("said", ["a"])
        closing = [{"type": "CloseConnection", "reason": "over"}]
        await service.call("POST", "/:execute", closing, query={"filter": "not userId eq 'x'"})
        await service.call(
            "POST", "/:execute", closing, query={"filter": "userId ne 'b-1' and 'g' in groups"}
        )
        assert await one.socket.record() == {"type": 7, "error": "over"}
        await service.call("POST", "/:send", MESSAGE)
        assert await two.told() == ("said", [1])


async def test_a_long_group_is_listed_page_by_page_without_a_gap() -> None:
    async with open_service() as service:
        clients = [service.client(user=f"u{number}") for number in range(5)]
        ids = [(await one.__aenter__()).id for one in clients]
        for number in range(5):
            await service.call("PUT", f"/users/u{number}/groups/g")
        found: list[str] = []
        query = {"maxpagesize": "2", "top": "4"}
        while True:
            page = (await service.call("GET", "/groups/g/connections", query=query)).json
            found += [one["connectionId"] for one in page["value"]]
            if "nextLink" not in page:
                break
            query = dict(
                Request(
                    {"type": "http", "query_string": page["nextLink"].split("?")[1].encode(), "headers": []}
                ).query_params
            )
        assert found == sorted(ids)[:4]
        for one in clients:
            await one.__aexit__(None, None, None)


@rule("S-56", broken_by=other_status(200, 500))
async def test_a_generated_token_lets_its_user_in(azure: Opens) -> None:
    async with azure() as service:
        told = await service.call("POST", "/:generateToken", query={"userId": "花子", "minutesToExpire": 5})
        claims = jwt.decode(told.json["token"], options={"verify_signature": False})
        assert (claims["asrs.s.uid"], claims["exp"] - claims["iat"]) == ("花子", 300)
        where = f"{service.url}/client/negotiate?hub=chat&negotiateVersion=1"
        async with service.http.post(
            where, headers={"authorization": f"Bearer {told.json['token']}"}
        ) as answer:
            assert answer.status == 200


@rule("S-57", broken_by=other_status(400, 202))
async def test_a_body_is_json_or_message_pack_and_anything_else_is_refused_by_name(azure: Opens) -> None:
    async with azure() as service, service.client() as client:
        packed = msgspec.msgpack.encode(MESSAGE)
        frame = json.dumps({"type": 1, "target": "raw", "arguments": []}).encode() + b"\x1e"
        raw = msgspec.msgpack.encode({"json": frame, "messagepack": b"\x01\x90"})
        kind = {"content-type": "application/x-msgpack"}
        assert (await service.call("POST", "/:send", packed, headers=dict(kind))).status == 202
        raw_kind = {"content-type": "application/octet-stream"}
        assert (await service.call("POST", "/:send", raw, headers=raw_kind)).status == 202
        assert [await client.told(), await client.told()] == [("said", [1]), ("raw", [])]
        bad = [
            await service.call("POST", "/:send", body)
            for body in (b"", b"{", b"[]", b"{}", {"target": ""}, {"target": "t", "arguments": 1})
        ]
        bad.append(await service.call("POST", "/:send", b"\xc1", headers=dict(kind)))
        bad.append(await service.call("POST", "/api/v1/hubs/9chat", MESSAGE))
        bad.append(await service.call("PUT", "/users/u/groups/%20"))
        bad.append(await service.call("POST", "/:send", MESSAGE, query={"api-version": "2019-01-01"}))
        assert {(one.status, one.code) for one in bad} == {(400, "Error.Request.Invalid")}
        assert all(one.json["code"] and one.json["message"] for one in bad)
        large = await service.call("POST", "/:send", {"target": "t", "arguments": ["x" * 1024 * 1024]})
        assert large.status == 413
        prefixed = await service.call("POST", "/:send", MESSAGE, query={"application": "app"})
        assert prefixed.status == 202


class Webhook:
    """An upstream that keeps what it was told and answers by the event's name."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], Any]] = []
        self.over = asyncio.Event()

    async def hear(self, request: Request) -> Response:
        self.heard.append((request.url.path, dict(request.headers), json.loads(await request.body())))
        if request.headers["x-asrs-event"] == "disconnected":
            self.over.set()
        event = request.headers["x-asrs-event"]
        if event == "fails":
            return Response(status_code=500)
        return JSONResponse({"said": event}) if event == "asks" else Response(status_code=204)


@asynccontextmanager
async def webhook(planted: Bend | None) -> AsyncIterator[tuple[Webhook, Any]]:
    hook = Webhook()
    app = Starlette(routes=[Route("/{path:path}", hook.hear, methods=["POST"])])
    async with serving(app) as port:
        templates = [
            Template(f"http://127.0.0.1:{port}/c/{{hub}}/{{category}}/{{event}}", categories="connections"),
            Template(f"http://127.0.0.1:{port}/m/{{event}}", hubs="other,chat", events="asks,tells,fails"),
        ]
        yield hook, open_service(planted, upstream=WebUpstream(templates, (KEY, SECOND)))


@rule("S-58", broken_by=other_words(b'"result"', b'"nothing"'))
async def test_an_upstream_hears_what_happens_and_answers_clients(planted: Bend | None) -> None:
    async with webhook(planted) as (hook, opening):
        async with opening as service, service.client(user="u", role="admin") as client:
            assert await client.socket.invoke("asks", 1) == {
                "type": 3,
                "invocationId": "1",
                "result": {"said": "asks"},
            }
            assert await client.socket.invoke("tells", id="2") == {"type": 3, "invocationId": "2"}
            failed = await client.socket.invoke("fails", id="3")
            assert failed["error"].endswith("Invocation failed, status code 500")
            await client.socket.send(type=1, target="unwanted", arguments=[])
            assert (await client.socket.record())["type"] == 7
        async with asyncio.timeout(20):
            await hook.over.wait()
    paths, headers, bodies = zip(*hook.heard, strict=True)
    assert paths == (
        "/c/chat/connections/connected",
        "/m/asks",
        "/m/tells",
        "/m/fails",
        "/c/chat/connections/disconnected",
    )
    assert bodies[0] == {"type": 10}
    assert bodies[1] == {"type": 1, "target": "asks", "arguments": [1]}
    assert bodies[4]["type"] == 11
    told = headers[1]
    assert (told["x-asrs-hub"], told["x-asrs-category"], told["x-asrs-user-id"]) == ("chat", "messages", "u")
    assert told["x-asrs-user-claims"] == "role: admin"
    proofs = [
        hmac.digest(key.encode(), told["x-asrs-connection-id"].encode(), "sha256").hex()
        for key in (KEY, SECOND)
    ]
    assert told["x-asrs-signature"] == ",".join(f"sha256={one}" for one in proofs)
