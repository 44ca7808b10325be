"""What a client learns before it connects."""

from __future__ import annotations

from time import time

from tests.contract.manifest import rule
from tests.hub.bending import other_options, other_query, other_status, other_words
from tests.hub.conftest import Opens

from kaiwa.hub import Asking, Elsewhere, Identity

VERSION = "?negotiateVersion=1"


@rule("S-1", broken_by=other_words(b'"ServerSentEvents"', b'"Carrier"'))
async def test_a_client_learns_its_ids_and_the_transports_in_order(house: Opens) -> None:
    async with house() as home:
        answer = await home.ask("POST", f"/negotiate{VERSION}")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["negotiateVersion"] == 1
    assert answer.json["connectionId"] != answer.json["connectionToken"]
    assert answer.json["availableTransports"] == [
        {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
        {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
        {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
    ]


@rule("S-2", broken_by=other_query(lambda query: VERSION[1:].encode()))
async def test_old_and_odd_versions_are_answered_in_their_way(house: Opens) -> None:
    async with house() as home:
        old = (await home.ask("POST", "/negotiate")).json
        future = (await home.ask("POST", "/negotiate?negotiateVersion=9")).json
        odd = await home.ask("POST", "/negotiate?negotiateVersion=abc")
        connects = await home.ask("GET", f"?id={old['connectionId']}")
    async with house(min_negotiate_version=1) as home:
        refused = (await home.ask("POST", "/negotiate")).json

    assert old["negotiateVersion"] == 0
    assert "connectionToken" not in old
    assert connects.status == 200
    assert future["negotiateVersion"] == 1
    assert odd.status == 200
    assert odd.json == {"error": "The client requested an invalid protocol version 'abc'"}
    assert refused == {
        "error": "The client requested version '0', but the server does not support this version."
    }


@rule("S-3", broken_by=other_query(lambda query: query.replace(b"NegotiateVersion", b"version")))
@rule("S-4", broken_by=other_options(stateful_reconnect=False))
async def test_query_names_have_no_case_and_a_resumable_connection_must_be_asked_for(house: Opens) -> None:
    async with house() as home:
        asked = (
            await home.ask("POST", "//negotiate?hub=x&NegotiateVersion=1&UseStatefulReconnect=true")
        ).json
        unasked = (await home.ask("POST", f"/negotiate{VERSION}")).json
    async with house(stateful_reconnect=False) as home:
        denied = (await home.ask("POST", f"/negotiate{VERSION}&useStatefulReconnect=true")).json

    assert asked["negotiateVersion"] == 1
    assert asked.get("useStatefulReconnect") is True
    assert "useStatefulReconnect" not in unasked
    assert "useStatefulReconnect" not in denied


@rule("S-5", broken_by=other_options(transports=("WebSockets", "ServerSentEvents", "LongPolling")))
async def test_a_transport_that_is_left_out_is_neither_listed_nor_served(house: Opens) -> None:
    async with house(transports=("WebSockets",)) as home:
        listed = (await home.ask("POST", f"/negotiate{VERSION}")).json
        stream = await home.ask("GET", f"?id={listed['connectionToken']}", {"accept": "text/event-stream"})
        polled = await home.ask("GET", f"?id={listed['connectionToken']}")

    assert [one["transport"] for one in listed["availableTransports"]] == ["WebSockets"]
    words = "transport not supported by this end point type"
    assert (stream.status, stream.body) == (404, f"ServerSentEvents {words}".encode())
    assert (polled.status, polled.body) == (404, f"LongPolling {words}".encode())


def _elsewhere(asking: Asking, identity: Identity) -> Elsewhere:
    return Elsewhere("https://service.example/client/?hub=room", "a token")


@rule("S-6", broken_by=other_options(redirect=lambda asking, identity: None))
async def test_a_client_may_be_sent_to_another_service(house: Opens) -> None:
    async with house(redirect=_elsewhere) as home:
        answer = await home.ask("POST", f"/negotiate{VERSION}")

    assert answer.json == {"url": "https://service.example/client/?hub=room", "accessToken": "a token"}


@rule("S-7", broken_by=other_options(disconnect_s=60.0))
async def test_only_post_negotiates_and_who_never_comes_is_forgotten(house: Opens) -> None:
    async with house(disconnect_s=0.2) as home:
        asked = await home.ask("GET", f"/negotiate{VERSION}")
        token = await home.negotiated()
        await home.until(lambda: home.hub._board.waiting == 0, "the connection is forgotten")
        late = await home.ask("GET", f"?id={token}")

    assert asked.status == 405
    assert late.status == 404


@rule("S-8", broken_by=other_status(404, 200))
async def test_the_public_id_opens_nothing(house: Opens) -> None:
    async with house() as home:
        public = (await home.ask("POST", f"/negotiate{VERSION}")).json["connectionId"]
        answers = [await home.ask(method, f"?id={public}") for method in ("GET", "POST", "DELETE")]

    assert [answer.status for answer in answers] == [404, 404, 404]


@rule("S-9", broken_by=other_words(b"tokenLifetimeSeconds", b"lifetime"))
async def test_a_token_may_be_renewed_while_the_connection_lives(house: Opens) -> None:
    def authenticate(asking: Asking) -> Identity | None:
        seconds = {"old": 100, "new": 1000}.get(asking.token or "")
        return None if seconds is None else Identity("ada", expires_at=time() + seconds)

    async with house(authenticate=authenticate) as home:
        old = await home.ask("POST", f"/negotiate{VERSION}", {"authorization": "Bearer old"})
        place = f"/refresh?id={old.json['connectionToken']}"
        renewed = await home.ask("POST", place, {"authorization": "Bearer new"})
        refused = await home.ask("POST", place, {"authorization": "Bearer forged"})

    assert 90 < old.json.get("tokenLifetimeSeconds", 0) <= 100
    assert 900 < renewed.json.get("tokenLifetimeSeconds", 0) <= 1000
    assert refused.status == 401
