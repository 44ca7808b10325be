"""Whole calls with a peer that is not ours, in this loop and through a media process."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.transports.webrtc.aiortc_peer import RATE_HZ, aiortc_peer, loudest_hz
from tests.transports.webrtc.here import HOUSE_HZ, WITHIN_S, Listener, media_service, told

from kaiwa.events.client import ResponseCancelled


@pytest.mark.parametrize("own_process", [False, True], ids=["in this loop", "own process"])
async def test_sound_goes_both_ways_and_events_beside_it(own_process: bool) -> None:
    async with (
        asyncio.timeout(3 * WITHIN_S),
        media_service(own_process=own_process) as media,
        aiortc_peer(440.0) as peer,
    ):
        call = await media.answer(await peer.offer())
        await call.transport.send(told("first"))
        await peer.accept(call.answer_sdp)
        server = Listener(call)
        assert json.loads(await peer.frames.get())["delta"] == "first"
        peer.channel.send(json.dumps({"type": "response.cancel"}))
        assert isinstance(await server.events.get(), ResponseCancelled)

        await server.say(1000.0, seconds=1.5)
        await peer.hears(RATE_HZ // 4)
        assert abs(loudest_hz(await peer.hears(RATE_HZ // 2), RATE_HZ) - 1000) < 5
        assert abs(loudest_hz(await server.hears(0.5), HOUSE_HZ) - 440) < 5

        await peer.close()
        await call.ended.wait()
        await server.task
        assert call.reason in ("channel closed", "closed by the peer")
        assert media.live == 0
