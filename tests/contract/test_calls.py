"""C15: calls by WebRTC, from the offer to the end, with a stock WebRTC peer on a live server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.contract.breakages import (
    answering,
    closing,
    delay,
    drop,
    insert,
    put,
    refuse,
    said,
    told_with,
    unheard,
)
from tests.contract.house import API_KEY, BEARER, House, Opener
from tests.contract.manifest import rule
from tests.contract.phone import (
    BUFFER_S,
    CALLS,
    SDP,
    Deaf,
    Phone,
    heading,
    phoning,
    rewriting,
    sounding_late,
)
from tests.transports.webrtc.chromium_offer import AUDIO, CHANNEL, offer

from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Rule, Say, Script
from kaiwa.transports.webrtc import MediaService, MediaSettings

LONG = " ".join(f"This is sentence number {number} of an answer." for number in range(1, 13))
SCRIPT = Script(
    rules=(
        Rule(pattern="long", answers=(Say(text=LONG, pace_ms=300),)),
        Rule(pattern=".*", answers=(Say(text="Well, yes."),)),
    )
)
SECRETS = "/v1/realtime/client_secrets"
_SOUND = {
    "type": "response.output_audio.delta",
    "event_id": "event_x",
    "response_id": "resp_x",
    "item_id": "item_x",
    "output_index": 0,
    "content_index": 0,
    "delta": "AAAA",
}


@pytest.fixture
async def calling(opening: Opener) -> AsyncIterator[House]:
    """A house that takes calls, in this event loop."""
    media = await MediaService.start(MediaSettings(own_process=False, silent_s=1.0))
    try:
        async with opening(media=media, engine=lambda: ServiceEngine(SCRIPT), backchannels=False) as house:
            yield house
    finally:
        await media.close()  # a house where nobody called has not begun to use it


def beside(house: House, phone: Phone, base: str = "/v1") -> Any:
    return house.call(f"{base}/realtime?call_id={phone.id}")


async def post_offer(house: House, path: str, body: Any, headers: dict[str, str]) -> Any:
    return await house.request("POST", path, headers=headers, data=body)


# --- how a call begins ---------------------------------------------------------------------------


@rule("K-243", broken_by=answering(status=200))
@rule("K-243", broken_by=heading("location", "/v1/realtime/calls/1"))
@rule("K-243", broken_by=rewriting(lambda sdp: ""))
@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
async def test_a_form_with_offer_and_session_is_answered(calling: House, base: str) -> None:
    form = aiohttp.FormData()
    form.add_field("sdp", offer(), content_type="application/sdp")
    session = {"type": "realtime", "model": "gpt-realtime"}
    form.add_field("session", json.dumps(session), content_type="application/json")
    told = await post_offer(calling, f"{base}/realtime/calls", form, BEARER)
    assert told.status == 201
    assert told.body.startswith(b"v=0") and b"m=audio" in told.body
    assert re.search(r"/calls/rtc_[A-Za-z0-9_-]+$", told.headers["location"])


@rule("K-244", broken_by=put("session.created", "session.instructions", "Be long."))
@rule("K-244", broken_by=answering(status=401))
async def test_an_ephemeral_key_begins_the_session_it_was_minted_for(calling: House) -> None:
    session = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
    made = await calling.post(SECRETS, {"session": session})
    key = {"Authorization": f"Bearer {made.body['value']}"}
    async with phoning(calling, "/v1/realtime/calls", key) as phone:
        created = await phone.until("session.created")
        assert created["session"]["instructions"] == "Be brief."


@rule("K-245", broken_by=answering(status=404))
@rule("K-245", broken_by=rewriting(lambda sdp: "nothing"))
@pytest.mark.parametrize("path", ["/v1/realtime?model=gpt-realtime", "/v1/realtimertc?model=gpt-realtime"])
async def test_the_addresses_of_the_preview_take_offers(calling: House, path: str) -> None:
    told = await post_offer(calling, path, offer(), BEARER | SDP)
    assert told.status == 201 and told.body.startswith(b"v=0")


@rule("K-246", broken_by=heading("access-control-expose-headers", "X-Request-Id"))
@rule("K-246", broken_by=heading("access-control-allow-origin", "https://elsewhere.example"))
@rule("K-246", broken_by=heading("access-control-allow-headers", "content-type"))
async def test_a_page_may_call_and_read_where_its_call_is(calling: House) -> None:
    page = {"Origin": "http://localhost:5173"}
    wish = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    asked = await calling.request("OPTIONS", "/v1/realtime/calls", headers=page | wish)
    assert asked.status == 204
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type"
    told = await post_offer(calling, CALLS, offer(), BEARER | SDP | page)
    assert told.headers["access-control-allow-origin"] == page["Origin"]
    assert "Location" in told.headers["access-control-expose-headers"] and told.headers["location"]


@rule("K-247", broken_by=answering(status=500))
@rule("K-247", broken_by=answering(error={}))
async def test_what_cannot_be_answered_is_refused_in_json(calling: House) -> None:
    for body, headers, status in (
        ("no offer at all", BEARER, 400),
        ("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", BEARER, 400),
        (offer(), {}, 401),
        (offer(), {"Authorization": "Bearer ek_00000000000000000000000000000000"}, 401),
    ):
        told = await post_offer(calling, CALLS, body, headers | SDP)
        assert told.status == status
        assert set(told.body["error"]) == {"message", "type", "code", "param"}


@rule("K-248", broken_by=rewriting(lambda sdp: sdp.replace("setup:active", "setup:actpass")))
@rule("K-248", broken_by=rewriting(lambda sdp: sdp.replace("opus/48000/2", "G722/8000")))
@rule("K-248", broken_by=rewriting(lambda sdp: sdp.replace("m=application", "m=audio")))
@rule("K-248", broken_by=rewriting(lambda sdp: re.sub("BUNDLE.*", "BUNDLE 0", sdp)))
@pytest.mark.parametrize(("lines", "bundle"), [((AUDIO, CHANNEL), "0 1"), ((CHANNEL, AUDIO), "1 0")])
async def test_an_answer_fits_its_offer(calling: House, lines: tuple[str, str], bundle: str) -> None:
    asked = offer(*lines, bundle=bundle)
    told = (await post_offer(calling, CALLS, asked, BEARER | SDP)).body.decode()
    assert set(re.findall(r"a=setup:(\w+)", told)) <= {"active", "passive"} and "a=setup:" in told
    assert re.search(r"a=rtpmap:111 opus/48000/2", told)
    assert re.findall(r"m=(\w+)", told) == re.findall(r"m=(\w+)", asked)
    assert f"a=group:BUNDLE {bundle}\r\n" in told


@rule("K-266", broken_by=put("input_audio_buffer.speech_stopped", "audio_end_ms", lambda ms: 2 * ms + 900))
@rule("K-266", broken_by=rewriting(lambda sdp: sdp.replace("PCMU", "G722").replace("PCMA", "G722")))
@rule("K-266", broken_by=rewriting(lambda sdp: sdp.replace("opus/48000/2", "L16/48000/2")))
async def test_sound_may_be_opus_in_stereo_or_g711(calling: House) -> None:
    for payload, name in ((0, "PCMU"), (8, "PCMA")):
        only = AUDIO.replace("SAVPF 111 63 9 0 8 13 110 126", f"SAVPF {payload}")
        told = (await post_offer(calling, CALLS, offer(only, CHANNEL), BEARER | SDP)).body.decode()
        assert f"a=rtpmap:{payload} {name}/8000" in told
    stereo = await post_offer(calling, CALLS, offer(), BEARER | SDP)
    assert "opus/48000/2" in stereo.body.decode()
    async with phoning(calling) as phone:
        await phone.until("session.created")
        await phone.say(1.0)
        started = await phone.until("input_audio_buffer.speech_started")
        stopped = await phone.until("input_audio_buffer.speech_stopped")
        # A second, the silence that ends it and the prefix: twice that if samples were taken for others.
        assert 1000 <= stopped["audio_end_ms"] - started["audio_start_ms"] <= 2300


# --- the data channel ----------------------------------------------------------------------------


@rule("K-250", broken_by=delay("session.created", until="session.updated"))
@rule("K-250", broken_by=unheard("session.update"))
@pytest.mark.parametrize("label", ["realtime-channel", "x"])
async def test_any_channel_is_greeted_and_obeyed(calling: House, label: str) -> None:
    async with phoning(calling, label=label) as phone:
        await phone.peer.opened.wait()
        await phone.update(instructions="Be brief.")
        assert (await phone.hear())["type"] == "session.created"
        assert (await phone.hear())["session"]["instructions"] == "Be brief."


@rule("K-256", broken_by=unheard("response.create"))
async def test_sound_in_frames_harms_no_call(calling: House) -> None:
    async with phoning(calling) as phone:
        await phone.until("session.created")
        await phone.send({"type": "input_audio_buffer.append", "audio": "AAAA"})
        await phone.ask("hello")
        assert (await phone.until("response.done"))["response"]["status"] == "completed"


@rule("K-260", broken_by=insert("response.output_audio_transcript.done", {"type": "rate_limits.updated"}))
@rule("K-260", broken_by=insert("output_audio_buffer.stopped", {"type": "response.done"}))
async def test_a_filtered_channel_carries_the_few_events_it_is_for(calling: House) -> None:
    async with phoning(calling, f"{CALLS}&webrtcfilter=on") as phone:
        await phone.peer.opened.wait()
        await phone.ask("hello")
        await phone.until("output_audio_buffer.stopped")
    assert set(phone.types) == {
        "conversation.item.added",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }


# --- sound ---------------------------------------------------------------------------------------


@rule("K-251", broken_by=drop("input_audio_buffer.speech_started"))
@rule("K-251", broken_by=drop("input_audio_buffer.speech_stopped"))
async def test_speech_is_noticed_and_told_to_everyone(calling: House) -> None:
    async with phoning(calling) as phone, beside(calling, phone) as observer:
        await phone.until("session.created")
        await observer.until("session.created")
        await phone.say(0.6)
        for peer in (phone, observer):
            started = await peer.until("input_audio_buffer.speech_started")
            stopped = await peer.until("input_audio_buffer.speech_stopped")
            assert started["item_id"] == stopped["item_id"]


@rule("K-252", broken_by=insert("response.output_audio.done", _SOUND))
@rule("K-252", broken_by=drop("response.output_audio.done"))
@rule("K-252", broken_by=Deaf)
async def test_an_answer_is_heard_and_not_read(calling: House) -> None:
    async with phoning(calling) as phone:
        await phone.until("session.created")
        await phone.ask("hello")
        await phone.until("response.done")
        assert "response.output_audio.done" in phone.types
        assert "response.output_audio.delta" not in phone.types
        await phone.sound()


@rule("K-253", broken_by=put("output_audio_buffer.started", "response_id", None))
@rule("K-253", broken_by=put("output_audio_buffer.stopped", "response_id", None))
@rule("K-253", broken_by=drop("output_audio_buffer.stopped"))
@rule("K-253", broken_by=delay("output_audio_buffer.started", until="output_audio_buffer.stopped"))
@rule("K-253", broken_by=sounding_late(2.0))
async def test_playback_is_announced_when_it_begins_and_ends(calling: House) -> None:
    async with phoning(calling) as phone:
        await phone.until("session.created")
        await phone.ask("hello")
        created = await phone.until("response.created")
        assert "output_audio_buffer.started" not in phone.types
        started = await phone.until("output_audio_buffer.started")
        done = await phone.until("response.done")
        stopped = await phone.until("output_audio_buffer.stopped")
        assert created["response"]["id"] == started["response_id"] == stopped["response_id"]
        assert done["response"]["id"] == started["response_id"]
        await asyncio.sleep(0.4)
        assert phone.times["output_audio_buffer.started"] <= phone.heard_at[0]
        # The last packet has left; the peer's own buffer plays a little of its 0.6 s longer.
        assert phone.heard_after(phone.times["output_audio_buffer.stopped"]) <= BUFFER_S + 0.3


@rule("K-254", broken_by=sounding_late(2.0))
@rule("K-254", broken_by=drop("output_audio_buffer.cleared"))
@rule("K-254", broken_by=put("response.done", "response.status", "completed"))
@rule("K-254", broken_by=drop("conversation.item.truncated"))
async def test_a_caller_who_cuts_in_hears_silence_at_once(calling: House) -> None:
    async with phoning(calling) as phone:
        await phone.until("session.created")
        await phone.ask("long")
        await phone.until("output_audio_buffer.started")
        await phone.sound(1.0)
        phone.peer.tone.hz = 440.0
        await phone.until("input_audio_buffer.speech_started")
        noticed = phone.times["input_audio_buffer.speech_started"]
        done = await phone.until("response.done")
        await phone.until("output_audio_buffer.cleared")
        truncated = await phone.until("conversation.item.truncated")
        await asyncio.sleep(0.5)
        assert phone.heard_after(noticed) < BUFFER_S + 0.2
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        assert truncated["item_id"] == done["response"]["output"][0]["id"]  # of this answer, of no later one
        assert 0 < truncated["audio_end_ms"] < 3000


@rule("K-255", broken_by=drop("output_audio_buffer.cleared"))
@rule("K-255", broken_by=refuse("session.updated"))
async def test_playback_can_be_cleared_by_request(calling: House) -> None:
    async with phoning(calling) as phone:
        await phone.until("session.created")
        await phone.ask("long")
        started = await phone.until("output_audio_buffer.started")
        await phone.send({"type": "response.cancel"})
        await phone.send({"type": "output_audio_buffer.clear"})
        cleared = await phone.until("output_audio_buffer.cleared")
        assert cleared["response_id"] == started["response_id"]
    async with calling.call() as caller:
        await caller.until("session.created")
        await caller.send({"type": "output_audio_buffer.clear"})
        await caller.update(instructions="Be brief.")
        assert caller.frames[-1]["type"] == "session.updated"


# --- beside a call -------------------------------------------------------------------------------


@rule("K-249", broken_by=drop("response.done"))
@rule("K-249", broken_by=Deaf)
async def test_a_call_without_a_channel_is_steered_from_beside(calling: House) -> None:
    async with phoning(calling, label=None) as phone, beside(calling, phone) as observer:
        await observer.until("session.created")
        await observer.say("hello")
        await observer.send({"type": "response.create"})
        await observer.until("response.done")
        await phone.sound()


@rule("K-257", broken_by=unheard("session.update"))
@rule("K-257", broken_by=unheard("response.create"))
@rule("K-257", broken_by=put("response.created", "response.id", "resp_other", nth=1))
@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
async def test_an_observer_sees_the_same_and_steers(calling: House, base: str) -> None:
    async with phoning(calling) as phone, beside(calling, phone, base) as observer:
        await phone.until("session.created")
        await observer.until("session.created")
        await observer.send({"type": "session.update", "session": {"type": "realtime", "instructions": "X."}})
        await observer.say("hello")
        await observer.send({"type": "response.create"})
        marks = len(phone.frames), len(observer.frames)
        await observer.until("response.done")
        await phone.until("response.done")
        assert phone.frames[marks[0] :] == observer.frames[marks[1] :]
        assert phone.frames[marks[0]].get("session", {}).get("instructions") == "X."


@rule("K-31", broken_by=drop("session.created"))
@rule("K-31", broken_by=closing(1000))
@rule("K-31", broken_by=said(lambda frame: [], "error"))
@pytest.mark.parametrize("headers", [BEARER, API_KEY])
async def test_an_id_attaches_to_a_live_call_and_to_nothing_else(
    calling: House, headers: dict[str, str]
) -> None:
    async with (
        phoning(calling) as phone,
        calling.call(f"/v1/realtime?call_id={phone.id}", headers) as observer,
    ):
        greeted = await phone.until("session.created")
        seen = await observer.until("session.created")
        assert seen["session"]["id"] == greeted["session"]["id"]
    async with calling.call("/v1/realtime?call_id=rtc_nobody", headers) as stranger:
        assert (await stranger.error())["code"] == "call_not_found"
        code, _ = await stranger.closed()
        assert code >= 4000


# --- how it ends ---------------------------------------------------------------------------------


@rule("K-258", broken_by=answering(status=404))
@rule("K-258", broken_by=closing(1011))
async def test_hanging_up_ends_the_call_for_everyone(calling: House) -> None:
    async with phoning(calling) as phone, beside(calling, phone) as observer:
        await phone.until("session.created")
        await observer.until("session.created")
        told = await calling.post(f"/v1/realtime/calls/{phone.id}/hangup")
        assert told.status == 200
        await phone.gone()
        assert await observer.gone() == 1000
        await calling.empty()


@rule("K-267", broken_by=closing(1006))
@rule("K-267", broken_by=told_with("session.update", "session.instructions", "Y."))
async def test_a_caller_who_vanishes_leaves_nothing_behind(calling: House) -> None:
    async with phoning(calling) as phone, beside(calling, phone) as observer:
        await observer.until("session.created")
        await phone.until("session.created")
        await phone.update(instructions="X.")
        assert (await phone.until("session.updated"))["session"]["instructions"] == "X."
        vanish(phone)
        observer._patience_s = 10.0  # with a breakage too: it is missed after a second
        assert await observer.gone() == 1000
        await calling.empty()


def vanish(phone: Phone) -> None:
    """Take the caller's network away: it says no good-bye."""
    connection: Any = phone.peer.connection
    checks = connection._RTCPeerConnection__sctp.transport.transport._connection
    checks._protocols[0].transport.close()
