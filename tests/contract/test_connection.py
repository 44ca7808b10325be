"""C1: which addresses there are, who is let in, and how a connection behaves, on a live server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import socket
import struct
from typing import Any

import pytest
from tests.contract.breakages import (
    Breakage,
    answering,
    closing,
    drop,
    insert,
    knocking,
    put,
    refuse,
    repeat,
    said,
    serving,
    unheard,
)
from tests.contract.desk import Desk
from tests.contract.house import API_KEY, AZURE, BEARER, GA, KEY, OCTOBER, PREVIEW, House, Opener
from tests.contract.manifest import rule
from websockets.exceptions import ConnectionClosed

from kaiwa.protocol.realtime.preview_editions import OCTOBER_2024
from kaiwa.server.ephemeral import EphemeralKeys

MIB = 1024 * 1024
CLIENTS_ID = "x-ms-client-request-id"
BETA = "openai-beta.realtime-v1"
KEY_PROTOCOL = f"openai-insecure-api-key.{KEY}"
STAINLESS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "X-Stainless-Lang": "python",
    "X-Stainless-Async": "async:asyncio",
    "X-Stainless-Package-Version": "3.52.0",
}


def speaks_ga(frame: dict[str, Any]) -> bool:
    return frame["type"] == "session.created" and "audio" in frame["session"]


def speaks_preview(frame: dict[str, Any]) -> bool:
    return frame["type"] == "session.created" and "modalities" in frame["session"]


def as_other_dialect(frame: dict[str, Any]) -> list[dict[str, Any]]:
    session = frame["session"]
    other = "modalities" if "audio" in session else "audio"
    return [frame | {"session": {other: {}}}]


def without_header(name: str) -> Any:
    return knocking(
        lambda path, headers, offered: (path, {k: v for k, v in headers.items() if k != name}, offered)
    )


def without_offer(name: str) -> Any:
    return knocking(lambda path, headers, offered: (path, headers, [one for one in offered if one != name]))


def on_path(change: Any) -> Any:
    return knocking(lambda path, headers, offered: (change(path), headers, offered))


wrong_dialect = said(as_other_dialect, "session.created")

# --- addresses and dialects --------------------------------------------------------------------


@rule("K-1", broken_by=insert("session.created", {"type": "rate_limits.updated"}))
@rule("K-1", broken_by=answering(status=200))
@rule("K-2", broken_by=drop("session.created"))
async def test_who_brings_the_key_is_told_first_that_a_session_began(house: House) -> None:
    async with house.call(GA, BEARER) as caller:
        assert caller.reply.status == 101
        assert (await caller.hear())["type"] == "session.created"


@rule("K-4", broken_by=wrong_dialect)
async def test_azures_path_speaks_ga_and_takes_its_key_header(house: House) -> None:
    assert speaks_ga(await house.first(AZURE, API_KEY))


@rule("K-5", broken_by=refuse("session.created"))
async def test_azures_path_takes_a_plain_key_as_bearer(house: House) -> None:
    assert speaks_ga(await house.first(AZURE, BEARER))


@rule("K-6", broken_by=wrong_dialect)
@rule("K-6", broken_by=on_path(lambda path: path.replace("/openai/", "/openai/v1/") + "&model=dep"))
async def test_the_dated_path_speaks_the_preview(house: House) -> None:
    assert speaks_preview(await house.first(PREVIEW, API_KEY, dialect="preview"))


@rule("K-7", broken_by=on_path(lambda path: path.replace("api-key", "apikey")))
async def test_the_key_may_stand_in_the_query(house: House) -> None:
    assert speaks_preview(await house.first(f"{PREVIEW}&api-key={KEY}", {}, dialect="preview"))


@rule("K-8", broken_by=on_path(lambda path: path.replace("Bearer", "Basic")))
async def test_an_authorization_may_stand_in_the_query(house: House) -> None:
    frame = await house.first(f"{PREVIEW}&Authorization=Bearer%20{KEY}", {}, dialect="preview")
    assert speaks_preview(frame)


@rule(
    "K-9",
    broken_by=insert("response.created", {"type": "conversation.item.retrieved", "event_id": "event_1"}),
)
@rule("K-9", broken_by=on_path(lambda path: path.replace("2024-10-01-preview", "2025-04-01-preview")))
async def test_the_first_version_says_only_what_it_had(house: House) -> None:
    async with house.call(OCTOBER, API_KEY, dialect="preview-2024-10-01") as caller:
        await caller.say("Hello.")
        await caller.send({"type": "conversation.item.retrieve", "item_id": "item_x"})
        await caller.send({"type": "response.create"})
        await caller.until("response.done")
    assert OCTOBER_2024.types is not None
    assert set(caller.types) <= OCTOBER_2024.types
    assert "speed" not in caller.frames[0]["session"]


@rule("K-10", broken_by=without_header("OpenAI-Beta"))
@pytest.mark.parametrize("value", ["realtime=v1", "Realtime=V1"])
async def test_the_beta_header_asks_for_the_preview(house: House, value: str) -> None:
    frame = await house.first(GA, {**BEARER, "OpenAI-Beta": value}, dialect="preview")
    assert speaks_preview(frame)


@rule("K-11", broken_by=without_offer(BETA))
async def test_the_beta_subprotocol_asks_for_the_preview(house: House) -> None:
    frame = await house.first(GA, {}, ("realtime", KEY_PROTOCOL, BETA), dialect="preview")
    assert speaks_preview(frame)


@rule("K-12", broken_by=wrong_dialect)
async def test_the_header_of_another_beta_changes_nothing(house: House) -> None:
    headers = {**BEARER, "OpenAI-Beta": "assistants=v2"}
    assert speaks_ga(await house.first(GA, headers))
    made = await house.post("/v1/realtime/client_secrets", headers=headers)
    assert "audio" in made.body["session"]


# --- subprotocols ------------------------------------------------------------------------------


class Echoing(Breakage):
    """Answers with the key among the subprotocols."""

    def answer(self, status: int, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        return status, headers | {"sec-websocket-protocol": KEY_PROTOCOL}, body


@rule("K-13", broken_by=without_offer(KEY_PROTOCOL))
@rule("K-13", broken_by=Echoing)
async def test_the_key_among_the_subprotocols_is_used_and_not_echoed(house: House) -> None:
    async with house.call(GA, {}, ("realtime", KEY_PROTOCOL)) as caller:
        assert speaks_ga(await caller.hear())
        assert caller.reply.headers["sec-websocket-protocol"] == "realtime"


@rule("K-14", broken_by=refuse("session.created"))
async def test_subprotocols_nobody_knows_are_passed_over(house: House) -> None:
    others = ("openai-agents-sdk.0.20.0", "openai-organization.org-1", "openai-project.proj-1")
    async with house.call(GA, {}, ("realtime", KEY_PROTOCOL, *others)) as caller:
        assert speaks_ga(await caller.hear())
        assert caller.reply.headers["sec-websocket-protocol"] == "realtime"


@rule("K-15", broken_by=Echoing)
async def test_who_offers_no_subprotocol_is_given_none(house: House) -> None:
    async with house.call() as caller:
        assert "sec-websocket-protocol" not in caller.reply.headers


# --- who is let in -----------------------------------------------------------------------------


@rule("K-16", broken_by=without_header("api-key"))
async def test_of_two_keys_one_that_is_right_suffices(house: House) -> None:
    for bearer, key in ((KEY, KEY), (KEY, "wrong"), ("wrong", KEY)):
        headers = {"Authorization": f"Bearer {bearer}", "api-key": key}
        assert speaks_ga(await house.first(GA, headers))


@rule("K-17", broken_by=closing(3000, "invalid_api_key"))
@rule("K-17", broken_by=put("error", "error.code", "invalid_value"))
@rule("K-17", broken_by=repeat("error"))
async def test_a_wrong_key_is_told_so_and_shown_out(house: House) -> None:
    async with house.call(GA, {"Authorization": "Bearer wrong"}) as caller:
        assert caller.reply.status == 101
        told = await caller.error()
        assert (told["type"], told["code"]) == ("invalid_request_error", "invalid_api_key")
        assert await caller.closed() == (3000, "invalid_request_error.invalid_api_key")


@rule("K-18", broken_by=closing(1008, "invalid_request_error.missing_model"))
@rule("K-18", broken_by=put("error", "error.code", "invalid_model"))
async def test_without_a_model_nobody_is_let_in(house: House) -> None:
    async with house.call("/v1/realtime", BEARER) as caller:
        assert (await caller.error())["code"] == "missing_model"
        assert await caller.closed() == (4000, "invalid_request_error.missing_model")


@rule("K-19", broken_by=closing(1008))
@rule("K-19", broken_by=put("error", "error.code", "not_found"))
async def test_a_model_nobody_knows_is_refused(house: House) -> None:
    for path, dialect in (
        ("/v1/realtime?model=nobody", "ga"),
        (PREVIEW.replace("=dep", "=nobody"), "preview"),
    ):
        async with house.call(path, API_KEY, dialect=dialect) as caller:
            assert (await caller.error())["code"] in ("invalid_model", "model_not_found")
            assert (await caller.closed())[0] in (4000, 4004)


@rule("K-20", broken_by=refuse("session.created"))
async def test_headers_of_a_request_on_an_upgrade_do_no_harm(house: House) -> None:
    assert speaks_ga(await house.first(GA, {**BEARER, **STAINLESS}))


@rule("K-32", broken_by=refuse("session.created"))
async def test_query_parameters_nobody_knows_are_passed_over(house: House) -> None:
    path = f"{GA}&api-version=2025-04-01-preview&intent=&x-ms-client-request-id=1&model_family=x"
    assert speaks_ga(await house.first(path))


class Unnamed(Breakage):
    """The server is not told how the client calls its requests."""

    def knock(
        self, path: str, headers: dict[str, str], offered: list[str]
    ) -> tuple[str, dict[str, str], list[str]]:
        kept = {name: value for name, value in headers.items() if name != CLIENTS_ID}
        return path.replace(f"{CLIENTS_ID}=", "unknown="), kept, offered


class Anonymous(Breakage):
    """Answers bear no id."""

    def answer(self, status: int, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        return (
            status,
            {name: value for name, value in headers.items() if not name.endswith("request-id")},
            body,
        )


def logged_ids(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    records = [record.__dict__ for record in caplog.records if "client_request_id" in record.__dict__]
    return [(record["client_request_id"], record["request_id"]) for record in records]


@rule("K-280", broken_by=Unnamed)
@rule("K-280", broken_by=Anonymous)
async def test_a_client_may_name_its_connection(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kaiwa.server")
    name, bad = "5b2f0cbe-8d1c-4c8e-9f0a-1b7f5a4f0a11", "a\tb{}" + "c" * 300
    calls = [
        (AZURE, API_KEY | {CLIENTS_ID: name}),
        (f"{AZURE}&{CLIENTS_ID}={name}", API_KEY),
        (AZURE, API_KEY | {CLIENTS_ID: bad}),
    ]
    for path, headers in calls:
        async with house.call(path, headers) as caller:
            assert speaks_ga(await caller.hear())
            answered = caller.reply.headers
            own = answered.get("apim-request-id", "")
            assert own.startswith("req_") and answered["x-ms-request-id"] == own
            assert logged_ids(caplog)[-1:] == [
                ((name if bad not in headers.values() else "ab" + "c" * 62), own)
            ]


@rule("K-280", broken_by=Anonymous)
async def test_a_client_may_name_its_requests(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kaiwa.server")
    for headers in (API_KEY, {}):
        told = await house.post(
            "/openai/v1/realtime/client_secrets", {}, headers=headers | {CLIENTS_ID: "mine-1"}
        )
        assert told.status == (200 if headers else 401)
        assert logged_ids(caplog)[-1:] == [("mine-1", told.headers.get("apim-request-id"))]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@rule("K-29", broken_by=refuse("session.created"))
@rule("K-29", broken_by=put("error", "error.code", "session_expired"))
@rule("K-30", broken_by=unheard("input_audio_buffer.clear"))
async def test_an_ephemeral_key_opens_sessions_until_it_ends_and_they_go_on(opening: Opener) -> None:
    clock = Clock()
    async with opening(keys=EphemeralKeys(now=clock)) as house:
        made = await house.post("/v1/realtime/client_secrets", {"expires_after": {"seconds": 10}})
        key = {"Authorization": f"Bearer {made.body['value']}"}
        async with house.call(GA, key) as caller:
            assert speaks_ga(await caller.hear())
            clock.now += 11
            assert (await house.first(GA, key))["error"]["code"] == "invalid_api_key"
            await caller.send({"type": "input_audio_buffer.clear"})
            assert (await caller.hear())["type"] == "input_audio_buffer.cleared"


# --- frames ------------------------------------------------------------------------------------


def shortened(frame: dict[str, Any]) -> list[dict[str, Any]]:
    frame["item"]["content"][0]["text"] = frame["item"]["content"][0]["text"][:65536]
    return [frame]


@rule("K-21", broken_by=said(shortened, "conversation.item.added"))
@pytest.mark.parametrize("compression", ["deflate", None])
async def test_large_frames_pass_both_ways_whatever_compression_was_offered(
    house: House, compression: Any
) -> None:
    text = "会話" * 200_000
    async with house.call(compression=compression) as caller:
        await caller.say(text)
        assert (await caller.until("conversation.item.added"))["item"]["content"][0]["text"] == text


@rule("K-22", broken_by=drop("error"))
@rule("K-22", broken_by=unheard("input_audio_buffer.append"))
async def test_a_huge_frame_is_answered_and_a_large_append_is_taken(house: House) -> None:
    async with house.call() as caller:
        await caller.hear()
        await caller.send("x" * 20_000_000)
        assert (await caller.error())["code"] == "invalid_json"
        await caller.update(audio={"input": {"turn_detection": None}})
        sound = base64.b64encode(bytes(15 * MIB)).decode()
        await caller.send({"type": "input_audio_buffer.append", "audio": sound})
        await caller.send({"type": "input_audio_buffer.commit"})
        assert (await caller.hear())["type"] == "input_audio_buffer.committed"
        with contextlib.suppress(ConnectionClosed):
            await caller.send("x" * (25 * MIB))
        assert await caller.gone() == 1009


@rule("K-23", broken_by=put("error", "error.code", "invalid_json"))
@rule("K-23", broken_by=drop("input_audio_buffer.cleared"))
async def test_a_binary_frame_is_an_error_and_no_end(house: House) -> None:
    async with house.call() as caller:
        await caller.hear()
        await caller.send(b'{"type":"input_audio_buffer.clear"}')
        assert (await caller.error())["code"] == "invalid_event"
        await caller.send({"type": "input_audio_buffer.clear"})
        assert (await caller.hear())["type"] == "input_audio_buffer.cleared"


class Swapping(Breakage):
    """Gives the server every second frame before the one it follows."""

    def __init__(self) -> None:
        self._held: Any = None

    def from_peer(self, frame: Any) -> list[Any]:
        if self._held is None:
            self._held = frame
            return []
        held, self._held = self._held, None
        return [frame, held]


@rule("K-24", broken_by=unheard("session.update"))
@rule("K-24", broken_by=Swapping)
@rule("K-25", broken_by=Swapping)
async def test_frames_are_taken_in_the_order_they_were_sent_in(house: House) -> None:
    async with house.call() as caller:
        for number in range(10):
            session = {"type": "realtime", "instructions": f"number {number}"}
            await caller.send({"type": "session.update", "session": session})
            await caller.send({"type": "input_audio_buffer.clear"})
        assert (await caller.hear())["type"] == "session.created"
        for number in range(10):
            updated = await caller.hear()
            assert updated["type"] == "session.updated"
            assert updated["session"]["instructions"] == f"number {number}"
            assert (await caller.hear())["type"] == "input_audio_buffer.cleared"


# --- the end of a connection -------------------------------------------------------------------


def reset(caller: Any) -> None:
    raw: socket.socket = caller.socket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.socket.transport.abort()


@rule("K-26", broken_by=answering(sessions=1))
async def test_whoever_leaves_in_whatever_way_is_let_go_of_at_once(house: House) -> None:
    async with house.call() as caller:
        await caller.hear()
        assert (await house.request("GET", "/healthz")).body["sessions"] == 1
        await caller.socket.close(1000)
        await house.empty()
    async with house.call() as caller:
        await caller.hear()
        await caller.socket.close(1000, "OK")
        await house.empty()
    async with house.call() as caller:
        await caller.hear()
        caller.socket.protocol.send_close(None, "")
        caller.socket.send_data()
        await house.empty()
    async with house.call() as caller:
        await caller.hear()
        await caller.say("long")
        await caller.send({"type": "response.create"})
        await caller.until("response.created")
        reset(caller)
        await house.empty()


def seldom(server: Any) -> None:
    server.config.ws_ping_interval = 60.0


def patient(server: Any) -> None:
    server.config.ws_ping_timeout = 60.0


@rule("K-27", broken_by=serving(seldom))
async def test_a_peer_is_pinged_often_and_may_ping(opening: Opener) -> None:
    async with opening() as house:
        assert 0 < house.server.config.ws_ping_interval <= 30
        async with house.call() as caller:
            await caller.hear()
            await asyncio.wait_for(await caller.socket.ping(), house.patience_s)


@rule("K-27", broken_by=serving(patient))
async def test_a_peer_that_misses_its_pongs_is_dropped(opening: Opener, planted: Breakage | None) -> None:
    async with opening() as house:
        assert 0 < house.server.config.ws_ping_timeout <= 30
        house.server.config.ws_ping_interval = house.server.config.ws_ping_timeout = 0.05
        async with house.call() as caller:
            await caller.hear()
            caller.socket.transport.pause_reading()
            await house.empty()
            caller.socket.transport.abort()


class AsleepAfter(Breakage):
    """Ends the conversation for a peer that says nothing for a minute: it hears nothing any more."""

    def from_peer(self, frame: Any) -> list[Any]:
        return [] if frame == {"type": "input_audio_buffer.clear"} else [frame]


@rule("K-28", broken_by=AsleepAfter)
def test_a_minute_of_silence_ends_nothing(desk: Desk) -> None:
    desk.wait(65)
    assert desk.hung is None
    assert [frame["type"] for frame in desk.send({"type": "input_audio_buffer.clear"})] == [
        "input_audio_buffer.cleared"
    ]
