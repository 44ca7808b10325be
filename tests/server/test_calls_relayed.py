"""Both ways of a call to Azure, against a stand-in of the service: the sound through kaiwa, or past it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.paper_media import OFFER, PaperMedia
from tests.server.running import running
from tests.server.test_calls import KEY, SDP, Desk, closed, heard
from tests.transports.webrtc.aiortc_peer import aiortc_peer, loudest_hz

from kaiwa.engines.realtime import Upstreams
from kaiwa.errors import ConfigError
from kaiwa.server.app import create_app
from kaiwa.server.relay import relay_from
from kaiwa.server.settings import Settings
from kaiwa.testing.service import Call, Faults, Rule, Say, Script, Service, running_service
from kaiwa.transports.webrtc import MediaService, MediaSettings

LONG = "A very long answer that goes on and on, so that somebody can cut in while it is spoken. " * 4
SPOKEN = b"\xff\x2f" * 24_000
WEATHER = Rule(pattern="weather", answers=(Call(name="get_weather", arguments='{"city": "東京"}'),))
SHORT = Rule(pattern="hello|.*spoke.*", answers=(Say(text="Hello to you."),))
SCRIPT = Script(rules=(WEATHER, SHORT, Rule(pattern="long", answers=(Say(text=LONG),))))


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running_service(SCRIPT) as service:
        yield service


def settings_for(service: Service, directory: Path, **given: Any) -> Settings:
    usual: dict[str, Any] = {
        "port": 0,
        "drain_s": 0,
        "database": directory / "desk.db",
        "cache_directory": directory,
        "api_key": KEY,
        "azure_openai_endpoint": service.url,
        "azure_openai_api_key": service.key,
        "azure_openai_realtime_deployment": "voice",
    }
    return Settings(_env_file=None, **usual | given)  # type: ignore[call-arg]


@asynccontextmanager
async def relaying(service: Service, directory: Path, **given: Any) -> AsyncIterator[Desk]:
    media, settings = PaperMedia(), settings_for(service, directory, **given)
    opened = running(settings, relay_from(settings), media=media)
    async with opened as server, aiohttp.ClientSession() as http:
        yield Desk(server, media, http)


def said_to(service: Service, kind: str) -> list[dict[str, Any]]:
    """Return the frames of a type that the service was sent."""
    frames = [json.loads(frame) for frame in service.sessions[-1].received]
    return [frame for frame in frames if frame["type"] == kind]


# --- through kaiwa -------------------------------------------------------------------------------


async def test_a_relayed_call_is_spoken_by_kaiwa(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path) as desk:
        await desk.dial()
        call = desk.call
        await call.until("session.created")
        call.ask("hello")
        started = await call.until("output_audio_buffer.started")
        done = await call.until("response.done")
        stopped = await call.until("output_audio_buffer.stopped")
        assert started["response_id"] == stopped["response_id"] == done["response"]["id"]
        assert len(call.transport.sound) > 1000
        assert "response.output_audio.delta" not in call.heard
        assert "response.output_audio.done" in call.heard
        assert said_to(service, "session.update")[0]["session"]["audio"]["output"]["format"]["rate"] == 24000


async def test_what_is_cut_off_is_truncated_at_the_service(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path) as desk:
        await desk.dial()
        call = desk.call
        await call.until("session.created")
        call.ask("long")
        await call.until("output_audio_buffer.started")
        for at in range(0, len(SPOKEN), 960):
            call.speak(SPOKEN[at : at + 960])
        await call.until("input_audio_buffer.speech_started")
        await call.until("output_audio_buffer.cleared")
        truncated = await call.until("conversation.item.truncated")
        told = said_to(service, "conversation.item.truncate")
        assert [frame["item_id"] for frame in told] == [truncated["item_id"]]
        assert 0 <= told[0]["audio_end_ms"] == truncated["audio_end_ms"] < 2000
        assert call.transport.cleared == 1


async def test_clearing_is_kaiwas_affair(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path) as desk:
        await desk.dial()
        call = desk.call
        await call.until("session.created")
        call.ask("long")
        await call.until("output_audio_buffer.started")
        call.say("response.cancel")
        call.say("output_audio_buffer.clear")
        await call.until("output_audio_buffer.cleared")
        await call.until("conversation.item.truncated")
        assert not said_to(service, "output_audio_buffer.clear")


async def test_a_format_for_a_websocket_never_reaches_the_service(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path) as desk:
        await desk.dial()
        await desk.call.until("session.created")
        audio = {"output": {"format": {"type": "audio/pcmu"}, "voice": "verse"}}
        desk.call.say("session.update", session={"type": "realtime", "audio": audio})
        shown = (await desk.call.until("session.updated"))["session"]["audio"]["output"]
        assert (shown["format"]["type"], shown["voice"]) == ("audio/pcm", "verse")


async def test_the_old_addresses_speak_the_preview_to_a_service_that_speaks_ga(
    service: Service, tmp_path: Path
) -> None:
    async with relaying(service, tmp_path) as desk:
        await desk.dial("/v1/realtimertc?model=gpt-realtime")
        await desk.call.until("session.created")
        desk.call.say("session.update", session={"output_audio_format": "g711_ulaw", "instructions": "X."})
        shown = (await desk.call.until("session.updated"))["session"]
        assert (shown["output_audio_format"], shown["instructions"]) == ("pcm16", "X.")
        desk.call.ask("hello")
        await desk.call.until("output_audio_buffer.started")
        await desk.call.until("response.audio.done")
        await desk.call.until("output_audio_buffer.stopped")
        assert "response.audio.delta" not in desk.call.heard


async def test_a_stock_peer_hears_the_service_and_is_heard(service: Service, tmp_path: Path) -> None:
    settings = settings_for(service, tmp_path)
    media = await MediaService.start(MediaSettings(own_process=False))
    opened = running(settings, relay_from(settings), media=media)
    async with opened as server, aiohttp.ClientSession() as http, aiortc_peer() as peer:
        desk = Desk(server, PaperMedia(), http)
        _, answer, _ = await desk.post("/v1/realtime/calls?model=gpt-realtime", await peer.offer(), **SDP)
        await peer.accept(answer)

        async def until(kind: str) -> None:
            async with asyncio.timeout(20):
                while json.loads(await peer.frames.get())["type"] != kind:
                    pass

        await until("session.created")
        peer.tone.hz = 440.0
        await until("input_audio_buffer.speech_started")
        await asyncio.sleep(0.3)
        peer.tone.hz = 0.0
        await until("input_audio_buffer.speech_stopped")
        await until("output_audio_buffer.started")
        sound = await peer.hears(24_000)
        assert 290 < loudest_hz(sound, 48_000) < 510
        await until("output_audio_buffer.stopped")


async def test_a_relayed_call_ends_with_the_service(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path) as desk:
        await desk.dial()
        await desk.call.until("session.created")
        service.faults = Faults(close_after="response.created", close_code=1011)
        desk.call.ask("hello")
        await desk.call.until("error")
        await asyncio.wait_for(desk.call.ended.wait(), 20)


async def test_the_agents_tools_run_in_a_relayed_call(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, agent="weather") as desk:
        await desk.dial()
        await desk.call.until("session.created")
        desk.call.ask("weather")
        await desk.call.until("output_audio_buffer.started")
        outputs = said_to(service, "conversation.item.create")
        assert "東京" in outputs[-1]["item"]["output"]


# --- past kaiwa ----------------------------------------------------------------------------------


async def test_a_direct_call_is_the_services_with_a_key_of_its_own(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, rtc_media="direct", agent="weather") as desk:
        status, answer, where = await desk.post("/v1/realtime/calls?model=gpt-realtime", **SDP)
        assert status == 201 and answer.startswith("v=0") and where is not None
        call_id = where.rpartition("/")[2]
        assert call_id in service.calls
        minting, calling = service.requests[:2]
        assert calling.header("authorization") == f"Bearer {next(iter(service.ephemeral))}"
        assert calling.body == OFFER and not service.records.places_of(KEY)
        wanted = json.loads(minting.body)["session"]
        assert wanted["model"] == "voice" and wanted["instructions"]
        assert [tool["name"] for tool in wanted["tools"]][:1] == ["get_weather"]
        assert not desk.media.calls


async def test_kaiwas_tools_run_beside_a_direct_call(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, rtc_media="direct", agent="weather") as desk:
        call_id = await desk.dial()
        browser = Observer(service, call_id)
        async with browser as frames:
            await frames.ask("weather")
            output = await frames.until(
                lambda frame: frame.get("item", {}).get("type") == "function_call_output"
            )
            assert "東京" in output["item"]["output"]
            await frames.until(lambda frame: frame["type"] == "response.done")


async def test_a_direct_call_is_answered_when_kaiwa_hears_it(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled, may_join = asyncio.Event(), asyncio.Event()
    dial = Upstreams.dial

    async def dial_later(*asked: Any) -> aiohttp.ClientWebSocketResponse:
        dialled.set()
        await may_join.wait()
        return await dial(*asked)

    monkeypatch.setattr(Upstreams, "dial", dial_later)
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        call = asyncio.create_task(desk.dial())
        await dialled.wait()
        assert await desk.live() == 1 and not call.done()  # a whole request later
        may_join.set()
        await call
        assert service.sessions


async def test_a_direct_call_that_kaiwa_may_not_join_is_refused_and_hung_up(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dial_in_vain(*_: Any) -> aiohttp.ClientWebSocketResponse:
        raise aiohttp.ClientConnectionError

    monkeypatch.setattr(Upstreams, "dial", dial_in_vain)
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        status, told, _ = await desk.post("/v1/realtime/calls?model=gpt-realtime", **SDP)
        assert (status, told["error"]["code"]) == (503, "upstream_unavailable")
        await desk.nobody()
        assert not service.calls


async def test_tools_that_a_browser_takes_out_are_put_back(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, rtc_media="direct", agent="weather") as desk:
        call_id = await desk.dial()
        async with Observer(service, call_id) as frames:
            own = {"type": "function", "name": "own", "parameters": {"type": "object"}}
            await frames.send("session.update", session={"type": "realtime", "tools": [own]})
            updated = [await frames.until(lambda frame: frame["type"] == "session.updated") for _ in range(2)]
            names = [[tool["name"] for tool in frame["session"]["tools"]] for frame in updated]
            assert names[0] == ["own"] and names[1][0] == "own" and "get_weather" in names[1]


async def test_observers_of_a_direct_call_come_to_kaiwa(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        call_id = await desk.dial()
        async with desk.beside(call_id) as socket:
            await heard(socket, "session.created")
            part = {"type": "input_text", "text": "hello"}
            item = {"type": "message", "role": "user", "content": [part]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await socket.send(json.dumps({"type": "response.create"}))
            done = await heard(socket, "response.done")
            assert done["response"]["status"] == "completed"


async def test_hanging_up_on_a_direct_call_hangs_up_at_the_service(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        call_id = await desk.dial()
        async with desk.beside(call_id) as socket:
            await heard(socket, "session.created")
            status, _, _ = await desk.post(f"/v1/realtime/calls/{call_id}/hangup", "")
            assert status == 200 and call_id not in service.calls
            assert (await closed(socket))[0] == 1000
        assert await desk.live() == 0


async def test_a_direct_call_that_ends_at_the_service_ends_here(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        call_id = await desk.dial()
        async with desk.beside(call_id) as socket:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await heard(socket, "conversation.item.done")  # the service has taken the session beside the call
            service.calls[call_id].shared.hang_up()
            assert (await closed(socket))[0] == 1000
        await desk.nobody()


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Faults(http_status=401), 503, "upstream_unauthorized"),
        (Faults(http_status=404), 503, "upstream_not_found"),
        (Faults(http_status=429), 429, "rate_limit_exceeded"),
        (Faults(http_status=500), 503, "upstream_unavailable"),
    ],
)
async def test_a_service_that_takes_no_call_is_told_in_kaiwas_words(
    service: Service, tmp_path: Path, fault: Faults, status: int, code: str
) -> None:
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        service.faults = fault
        answered, told, _ = await desk.post("/v1/realtime/calls?model=gpt-realtime", **SDP)
        assert (answered, told["error"]["code"]) == (status, code)
        assert await desk.live() == 0


async def test_an_offer_the_service_cannot_read_is_the_callers_fault(
    service: Service, tmp_path: Path
) -> None:
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        status, told, _ = await desk.post("/v1/realtime/calls?model=gpt-realtime", "nothing", **SDP)
        assert (status, told["error"]["code"]) == (400, "invalid_sdp")


async def test_a_quiet_channel_is_asked_for_at_the_service(service: Service, tmp_path: Path) -> None:
    async with relaying(service, tmp_path, rtc_media="direct") as desk:
        await desk.dial("/v1/realtime/calls?model=gpt-realtime&webrtcfilter=on")
        assert ("webrtcfilter", "on") in service.requests[1].query


async def test_direct_without_a_service_is_a_wrong_setting(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, rtc_media="direct", engine="local", cache_directory=tmp_path)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="KAIWA_RTC_MEDIA"):
        create_app(settings)


async def test_what_is_pinned_cannot_go_past_kaiwa(service: Service, tmp_path: Path) -> None:
    settings = settings_for(service, tmp_path, rtc_media="direct", pinned=("voice",))
    with pytest.raises(ConfigError, match="KAIWA_PINNED"):
        create_app(settings)


class Observer:
    """What a browser's data channel to the service would say and see."""

    def __init__(self, service: Service, call_id: str) -> None:
        self._url = f"{service.url}/openai/v1/realtime?call_id={call_id}"
        self._key = service.key

    async def __aenter__(self) -> Observer:
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(self._url, headers={"api-key": self._key})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def send(self, kind: str, **fields: Any) -> None:
        await self._socket.send_json({"type": kind, **fields})

    async def ask(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def until(self, fits: Any) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while not fits(frame := await self._socket.receive_json()):
                pass
        return frame
