"""The service's sessions end before the conversation does, and the peer notices nothing: on real sockets."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.relay.relayed import Peer, peer_of, relaying, settings_for

from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.service import Faults, Service, running_service
from kaiwa.testing.service.script import Rule, Say, Script

WORDS = " ".join(f"word{number}" for number in range(24))
SCRIPT = Script(
    hears=("tell me",),
    rules=(
        Rule(pattern="tell.*", answers=(Say(text=WORDS, pace_ms=15),)),
        Rule(pattern=".*", answers=(Say(text=r"You said: \g<0>"),)),
    ),
)
TEXT = {"type": "realtime", "output_modalities": ["text"]}
SPOKEN = {"type": "realtime", "output_modalities": ["audio"]}
DELTAS = ("response.output_text.delta", "response.output_audio_transcript.delta")


@asynccontextmanager
async def talk_to(service: Service, **settings: Any) -> AsyncIterator[Peer]:
    usual = {"realtime_reopen_s": 5}
    async with relaying(settings_for(service, **usual | settings)) as address, peer_of(address) as peer:
        yield peer


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running_service(SCRIPT) as service:
        yield service


def told(peer: Peer) -> str:
    return "".join(event["delta"] for event in peer.heard if event["type"] in DELTAS)


def check(peer: Peer) -> None:
    """Hold everything the peer heard against the protocol: one session, nothing twice, nothing missing."""
    assert peer.errors == []
    check_transcript(peer.heard)
    ids = [event["event_id"] for event in peer.heard]
    assert len(ids) == len(set(ids))


BREAKS = {
    "reset": Faults(reset_after="response.output_*.delta", times=1),
    "restart": Faults(close_after="response.output_*.delta", close_code=1012, times=1),
    "before a word": Faults(reset_after="response.created", times=1),
    "before the answer": Faults(reset_after="conversation.item.done", times=1),
    "within an item": Faults(reset_after="response.content_part.added", times=1),
}


@pytest.mark.parametrize("session", [TEXT, SPOKEN], ids=["text", "voice"])
@pytest.mark.parametrize("fault", BREAKS.values(), ids=list(BREAKS))
async def test_an_answer_goes_on_after_a_break(
    service: Service, fault: Faults, session: dict[str, Any]
) -> None:
    async with talk_to(service) as peer:
        await peer.send("session.update", session=session)
        await peer.until("session.updated")
        service.faults = fault
        await peer.say("tell me")
        while not any(request.status == 101 for request in service.requests[1:]):
            await peer.until_any()
        service.faults = Faults()
        done = await peer.until("response.done")
        assert told(peer) == WORDS
        content = done["response"]["output"][0]["content"][0]
        assert (content.get("text") or content.get("transcript")) == WORDS
        assert done["response"]["status"] == "completed"
        await peer.say("thanks")
        await peer.until("response.done")
        assert told(peer).endswith("You said: thanks")
        check(peer)
    assert len(service.sessions) >= 2


async def test_a_dead_deployments_answer_goes_on_at_another() -> None:
    async with running_service(SCRIPT) as first, running_service(SCRIPT) as second:
        entries = [
            {"name": name, "endpoint": service.url, "deployment": "voice", "api_key": service.key}
            for name, service in (("first", first), ("second", second))
        ]
        settings = settings_for(first, realtime_reopen_s=5, realtime_upstreams=entries)
        async with relaying(settings) as address, peer_of(address) as peer:
            await peer.send("session.update", session=TEXT)
            await peer.until("session.updated")
            first.faults = Faults(reset_after="response.output_text.delta", http_status=503)
            await peer.say("tell me")
            await peer.until("response.done")
            assert told(peer) == WORDS
            check(peer)
    assert [len(service.sessions) for service in (first, second)] == [1, 1]


async def test_the_end_of_a_sessions_hour_passes_unseen(service: Service) -> None:
    service.faults = Faults(expire_after_s=0.25, times=1)
    async with talk_to(service) as peer:
        await peer.send("session.update", session=TEXT)
        await peer.say("tell me")
        await peer.until("response.done")
        assert told(peer) == WORDS and len(service.sessions) == 2
        check(peer)


async def test_a_call_that_waits_for_its_client_is_answered_in_the_next_session(service: Service) -> None:
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    service.script = Script()
    async with talk_to(service) as peer:
        await peer.send("session.update", session=TEXT | {"tools": [tool]})
        await peer.say("call look")
        call = (await peer.until("response.output_item.done"))["item"]
        await peer.until("response.done")
        service.faults = Faults(reset_after="conversation.item.done", times=0)
        await peer.say("fine")
        assert (await peer.until("response.output_text.done"))["text"] == "fine"
        await peer.until("response.done")
        service.faults = Faults()
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "42"}
        await peer.send("conversation.item.create", item=output)
        await peer.send("response.create")
        assert (await peer.until("response.output_text.done"))["text"] == "The tool said: 42"
        await peer.until("response.done")
        check(peer)


async def test_a_failed_answer_is_asked_for_again(service: Service) -> None:
    async with talk_to(service) as peer:
        await peer.send("session.update", session=TEXT)
        await peer.until("session.updated")
        service.faults = Faults(fail_response="server_error", times=0)
        await peer.say("hello")
        done = await peer.until("response.done")
        assert done["response"]["status"] == "completed" and told(peer) == "You said: hello"
        check(peer)


async def test_a_turn_spoken_over_the_break_is_one_turn(service: Service) -> None:
    loud = base64.b64encode(struct.pack("<480h", *([9000, -9000] * 240))).decode()
    quiet = base64.b64encode(bytes(960)).decode()
    async with talk_to(service) as peer:
        await peer.until("session.created")
        service.faults = Faults(reset_after="input_audio_buffer.speech_started", times=0)
        for sound in [loud] * 40 + [quiet] * 60:
            await peer.send("input_audio_buffer.append", audio=sound)
            await asyncio.sleep(0.002)
        await peer.until("response.done")
        kinds = [event["type"] for event in peer.heard]
        for kind in ("input_audio_buffer.speech_started", "input_audio_buffer.committed"):
            assert kinds.count(kind) == 1
        assert told(peer) == WORDS
        check(peer)
    assert len(service.sessions) == 2


async def test_a_turn_that_was_answered_is_not_heard_again_after_a_break(service: Service) -> None:
    loud = base64.b64encode(struct.pack("<480h", *([9000, -9000] * 240))).decode()
    quiet = base64.b64encode(bytes(960)).decode()
    async with talk_to(service) as peer:
        heard = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": {"type": "server_vad"}}}
        await peer.send("session.update", session={"type": "realtime", "audio": heard})
        await peer.until("session.updated")
        service.faults = Faults(reset_after="response.output_*.delta", times=0)
        for sound in [loud] * 40 + [quiet] * 60:
            await peer.send("input_audio_buffer.append", audio=sound)
            await asyncio.sleep(0.002)
        while len(service.requests) < 2:
            await peer.until_any()
        service.faults = Faults()
        await peer.until("response.done")
        await peer.say("thanks")
        await peer.until("response.done")
        kinds = [event["type"] for event in peer.heard]
        assert kinds.count("input_audio_buffer.committed") == 1
        assert told(peer) == WORDS + "You said: thanks"
        check(peer)
    assert len(service.sessions) == 2


async def test_when_no_session_can_be_had_the_peer_is_told(service: Service) -> None:
    async with talk_to(service, realtime_reopen_s=0.4) as peer:
        await peer.until("session.created")
        service.faults = Faults(reset_after="conversation.item.done", http_status=503)
        await peer.say("hello")
        closed = await peer.end()
    assert [error["code"] for error in peer.errors] == ["upstream_unavailable"] and closed[0] == 1011
