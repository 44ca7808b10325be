"""Calls: how they begin, who sees them, how they end, over real requests and sockets; the sound is on paper."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.paper_media import ANSWER, OFFER, PaperCall, PaperMedia
from tests.server.running import InThisLoop, at_home, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.errors import UpstreamError
from kaiwa.server.conversations import Answerer

KEY = "the-key-of-this-house"
BEARER = {"authorization": f"Bearer {KEY}"}
SDP = {"content-type": "application/sdp"}


class Desk:
    """A house that takes calls, and somebody who makes them."""

    def __init__(self, server: InThisLoop, media: PaperMedia, http: aiohttp.ClientSession) -> None:
        self.address = server.addresses[0]
        self.media = media
        self.http = http

    async def post(self, path: str, body: Any = OFFER, **headers: str) -> tuple[int, Any, str | None]:
        """Return status, answer and Location."""
        asked = self.http.post(self.address + path, data=body, headers={**BEARER, **headers})
        async with asyncio.timeout(10), asked as answer:
            told = await answer.text()
            plain = answer.content_type != "application/json"
            return answer.status, told if plain else json.loads(told), answer.headers.get("location")

    async def dial(self, path: str = "/v1/realtime/calls?model=gpt-realtime", **headers: str) -> str:
        """Make a call and return its id; the other end is `call`."""
        status, _, where = await self.post(path, **({**SDP} | headers))
        assert status == 201 and where is not None
        return where.rpartition("/")[2]

    @property
    def call(self) -> PaperCall:
        return self.media.calls[-1]

    @asynccontextmanager
    async def beside(
        self, call_id: str, key: str = KEY, base: str = "/v1"
    ) -> AsyncIterator[ClientConnection]:
        url = f"{self.address.replace('http', 'ws')}{base}/realtime?call_id={call_id}"
        async with connect(url, additional_headers={"api-key": key}, proxy=None) as socket:
            yield socket

    async def live(self) -> int:
        async with self.http.get(self.address + "/healthz") as answer:
            return (await answer.json())["sessions"]

    async def nobody(self) -> None:
        """Wait until nobody is inside any more."""
        until = asyncio.get_running_loop().time() + 5
        while await self.live():
            assert asyncio.get_running_loop().time() < until, "somebody is still inside"
            await asyncio.sleep(0.01)


async def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (frame := json.loads(await socket.recv()))["type"] != kind:
            pass
    return frame


async def closed(socket: ClientConnection) -> tuple[int, str]:
    try:
        async with asyncio.timeout(20):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return socket.close_code or 0, socket.close_reason or ""


@asynccontextmanager
async def house(tmp_path: Path, answerer: Answerer | None = None, **given: Any) -> AsyncIterator[Desk]:
    media = PaperMedia()
    settings = at_home(tmp_path, **({"api_key": KEY} | given))
    async with running(settings, answerer, media=media) as server, aiohttp.ClientSession() as http:
        yield Desk(server, media, http)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with house(tmp_path) as desk:
        yield desk


# --- how a call begins ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/v1/realtime/calls?model=gpt-realtime",
        "/openai/v1/realtime/calls?model=gpt-realtime&webrtcfilter=off",
        "/v1/realtime?model=gpt-realtime",
        "/v1/realtimertc?model=gpt-realtime",
    ],
)
async def test_an_offer_is_answered_and_the_conversation_begins(desk: Desk, path: str) -> None:
    status, answer, where = await desk.post(path, **SDP)
    assert (status, answer) == (201, ANSWER)
    assert where is not None and where.startswith("/v1/realtime/calls/rtc_")
    assert (await desk.call.until("session.created"))["session"]["model"] == "gpt-realtime"
    assert await desk.live() == 1


async def test_old_addresses_speak_the_preview_and_calls_do_not(desk: Desk) -> None:
    await desk.dial("/v1/realtimertc?model=gpt-realtime")
    assert "modalities" in (await desk.call.until("session.created"))["session"]
    await desk.dial()
    assert "output_modalities" in (await desk.call.until("session.created"))["session"]


async def test_the_form_brings_the_session_along(desk: Desk) -> None:
    session = {"type": "realtime", "model": "weather", "instructions": "Be brief."}
    form = aiohttp.FormData()
    form.add_field("sdp", OFFER, content_type="application/sdp")
    form.add_field("session", json.dumps(session), content_type="application/json")
    status, _, _ = await desk.post("/v1/realtime/calls", form)
    assert status == 201
    shown = (await desk.call.until("session.created"))["session"]
    assert (shown["model"], shown["instructions"]) == ("weather", "Be brief.")


async def test_an_ephemeral_key_begins_its_own_session_and_may_observe_no_other_call(desk: Desk) -> None:
    wanted = json.dumps({"session": {"type": "realtime", "model": "weather", "instructions": "Short."}})
    _, made, _ = await desk.post("/v1/realtime/client_secrets", wanted)
    own = await desk.dial("/v1/realtime/calls", authorization=f"Bearer {made['value']}")
    assert (await desk.call.until("session.created"))["session"]["instructions"] == "Short."
    foreign = await desk.dial()
    async with desk.beside(own, made["value"]) as socket:
        assert (await heard(socket, "session.created"))["session"]["instructions"] == "Short."
    async with desk.beside(foreign, made["value"]) as socket:
        assert (await heard(socket, "error"))["error"]["code"] == "call_not_found"
        assert (await closed(socket))[0] == 4004


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        ("/v1/realtime/calls?model=gpt-realtime", "no sdp", SDP, 400, "invalid_sdp"),
        ("/v1/realtime/calls?model=gpt-realtime", "", SDP, 400, "invalid_sdp"),
        ("/v1/realtime/calls?model=gpt-realtime", b"\xff\xfe", SDP, 400, "invalid_sdp"),
        ("/v1/realtime/calls?model=gpt-realtime", "v=0" * 30_000, SDP, 413, "request_too_large"),
        ("/v1/realtime/calls", OFFER, SDP, 400, "missing_model"),
        ("/v1/realtime/calls?model=nobody", OFFER, SDP, 404, "model_not_found"),
        (
            "/v1/realtime/calls?model=gpt-realtime",
            OFFER,
            {"authorization": "Bearer no"},
            401,
            "invalid_api_key",
        ),
        ("/v1/realtime/calls", OFFER, {"authorization": "Bearer ek_gone"}, 401, "invalid_api_key"),
        ("/v1/realtime/calls", "--x", {"content-type": "multipart/form-data"}, 400, "invalid_form"),
        (
            "/v1/realtime/calls",
            "--x",
            {"content-type": "multipart/form-data; boundary=y"},
            400,
            "invalid_form",
        ),
    ],
)
async def test_what_is_no_call_is_refused_with_a_reason(
    desk: Desk, path: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answered, told, _ = await desk.post(path, body, **headers)
    assert (answered, told["error"]["code"]) == (status, code)
    assert set(told["error"]) == {"message", "type", "code", "param"}
    assert await desk.live() == 0


@pytest.mark.parametrize(
    ("session", "param"),
    [("{", "session"), ("[]", "session"), ('{"type":"realtime","voice":"x"}', "session.voice")],
)
async def test_a_session_that_cannot_be_read_is_named(desk: Desk, session: str, param: str) -> None:
    form = aiohttp.FormData({"sdp": OFFER})
    form.add_field("session", session, content_type="application/json")
    status, told, _ = await desk.post("/v1/realtime/calls", form)
    assert (status, told["error"]["param"]) == (400, param)


async def test_calls_count_as_sessions(tmp_path: Path) -> None:
    async with house(tmp_path, max_sessions=1) as desk:
        call_id = await desk.dial()
        status, told, _ = await desk.post("/v1/realtime/calls?model=gpt-realtime", **SDP)
        assert (status, told["error"]["code"]) == (503, "server_busy")
        await desk.post(f"/v1/realtime/calls/{call_id}/hangup", "")
        await desk.dial()


async def test_a_house_whose_media_fails_says_so(tmp_path: Path) -> None:
    class NoMedia(PaperMedia):
        async def answer(self, offer_sdp: str) -> PaperCall:
            raise UpstreamError("media_failed", "No call can be taken now.", retryable=True)

    settings = at_home(tmp_path, api_key=KEY)
    async with running(settings, media=NoMedia()) as server, aiohttp.ClientSession() as http:
        desk = Desk(server, PaperMedia(), http)
        status, told, _ = await desk.post("/v1/realtime/calls?model=gpt-realtime", **SDP)
        assert (status, told["error"]["code"]) == (503, "media_failed")
        assert await desk.live() == 0


# --- what goes over it ---------------------------------------------------------------------------


async def test_sound_takes_its_own_way_and_everything_else_the_channel(desk: Desk) -> None:
    await desk.dial()
    desk.call.ask("hello")
    await desk.call.until("response.output_audio.done")
    await desk.call.until("output_audio_buffer.stopped")
    assert len(desk.call.transport.sound) > 1000
    assert "response.output_audio.delta" not in desk.call.heard


async def test_sound_over_the_channel_is_refused_and_the_call_goes_on(desk: Desk) -> None:
    await desk.dial()
    desk.call.say("input_audio_buffer.append", audio="AAAA", event_id="mine")
    error = (await desk.call.until("error"))["error"]
    assert (error["event_id"], error["param"]) == ("mine", "type")
    desk.call.ask("hello")
    await desk.call.until("response.done")


async def test_a_filtered_channel_hears_little(desk: Desk) -> None:
    await desk.dial("/openai/v1/realtime/calls?model=gpt-realtime&webrtcfilter=on")
    desk.call.ask("hello")
    await desk.call.until("output_audio_buffer.stopped")
    assert set(desk.call.heard) <= {
        "conversation.item.added",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }


# --- observers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
async def test_an_observer_sees_and_steers_the_same_conversation(desk: Desk, base: str) -> None:
    call_id = await desk.dial()
    async with desk.beside(call_id, base=base) as first, desk.beside(call_id) as second:
        created = await heard(first, "session.created")
        await heard(second, "session.created")
        assert created["session"]["id"] == (await desk.call.until("session.created"))["session"]["id"]
        update = {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}}
        await first.send(json.dumps(update))
        for told in (desk.call.until("session.updated"), heard(second, "session.updated")):
            assert (await told)["session"]["instructions"] == "Be brief."
        desk.call.ask("hello")
        done = [await heard(first, "response.done"), await heard(second, "response.done")]
        assert done[0] == done[1]
    async with desk.beside(call_id) as late:
        assert (await heard(late, "session.created"))["session"]["instructions"] == "Be brief."


async def test_observers_are_bounded(desk: Desk) -> None:
    call_id = await desk.dial()
    async with AsyncExitStack() as stack:
        for _ in range(8):
            socket = await stack.enter_async_context(desk.beside(call_id))
            await heard(socket, "session.created")
        async with desk.beside(call_id) as socket:
            assert (await heard(socket, "error"))["error"]["code"] == "server_busy"
            assert (await closed(socket))[0] == 1013


async def test_an_observer_may_leave_and_the_call_goes_on(desk: Desk) -> None:
    call_id = await desk.dial()
    async with desk.beside(call_id) as socket:
        await heard(socket, "session.created")
    desk.call.ask("hello")
    await desk.call.until("response.done")


# --- how it ends ---------------------------------------------------------------------------------


async def test_hanging_up_over_http_ends_everything(desk: Desk) -> None:
    call_id = await desk.dial()
    async with desk.beside(call_id) as socket:
        await heard(socket, "session.created")
        status, _, _ = await desk.post(f"/v1/realtime/calls/{call_id}/hangup", "")
        assert status == 200 and desk.call.ended.is_set()
        assert (await closed(socket))[0] == 1000
    assert await desk.live() == 0
    status, _, _ = await desk.post(f"/v1/realtime/calls/{call_id}/hangup", "")
    assert status == 404


async def test_a_browser_that_goes_ends_the_call_for_its_observers(desk: Desk) -> None:
    call_id = await desk.dial()
    async with desk.beside(call_id) as socket:
        await heard(socket, "session.created")
        desk.call.transport.leave()
        assert (await closed(socket))[0] == 1000
    await asyncio.wait_for(desk.call.ended.wait(), 20)


async def test_an_old_session_ends_its_call(tmp_path: Path) -> None:
    async with house(tmp_path, session_minutes=0.02) as desk:
        call_id = await desk.dial()
        async with desk.beside(call_id) as socket:
            assert (await heard(socket, "error"))["error"]["code"] == "session_expired"
            assert (await closed(socket))[0] == 1001
        await asyncio.wait_for(desk.call.ended.wait(), 20)


@pytest.mark.parametrize("act", ["accept", "reject", "refer"])
async def test_only_telephones_ring(desk: Desk, act: str) -> None:
    call_id = await desk.dial()
    status, told, _ = await desk.post(f"/v1/realtime/calls/{call_id}/{act}", "{}")
    assert (status, told["error"]["code"]) == (400, "not_a_sip_call")
    assert await desk.live() == 1


async def test_a_server_that_ends_hangs_up(tmp_path: Path) -> None:
    async with house(tmp_path) as desk:
        await desk.dial()
        call = desk.call
    assert call.ended.is_set()
