"""The service's sessions end before the conversation does, and the peer notices nothing: on real sockets."""

from __future__ import annotations

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
