"""Calls over a line that loses, delays and swaps packets: what is said is heard, and answered in whole."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest
from tests.faults.house import WORDS, house_with
from tests.transports.webrtc.aiortc_peer import AiortcPeer, aiortc_peer

from kaiwa.testing.faults import fault_named
from kaiwa.testing.faults.network import BadLine, bad_line

WITHIN_S = 40
LINES = {
    "webrtc-loss": BadLine(loss=float(fault_named("webrtc-loss").parameters[0].usual)),
    "webrtc-jitter": BadLine(jitter_ms=float(fault_named("webrtc-jitter").parameters[0].usual)),
    "webrtc-reorder": BadLine(reorder=float(fault_named("webrtc-reorder").parameters[0].usual)),
}


@pytest.mark.clients
@pytest.mark.parametrize("fault", LINES)
async def test_a_call_over_a_bad_line_is_heard_and_answered(tmp_path: Path, fault: str) -> None:
    async with (
        asyncio.timeout(3 * WITHIN_S),
        house_with(tmp_path, rtc_host="127.0.0.1") as house,
        aiohttp.ClientSession(house.address) as web,
        aiortc_peer(0.0) as peer,
    ):
        offer = await peer.offer()
        headers = {"content-type": "application/sdp", "authorization": "Bearer key"}
        async with web.post("/v1/realtime/calls?model=gpt-realtime", data=offer, headers=headers) as answered:
            assert answered.status == 201, await answered.text()
            sdp = await answered.text()
        port = int(re.findall(r"m=audio (\d+)", sdp)[0])
        async with bad_line(port, LINES[fault]) as (network, way):
            await peer.accept(sdp.replace(f" {port} typ", f" {way} typ"))
            await peer.opened.wait()
            peer.tone.hz = 440.0
            await asyncio.sleep(1.5)  # so long the caller speaks
            peer.tone.hz = 0.0
            assert await _answer(peer) == WORDS
            assert network.lost + network.swapped + network.late > 0


async def _answer(peer: AiortcPeer) -> str:
    while True:
        async with asyncio.timeout(WITHIN_S):
            event = json.loads(await peer.frames.get())
        if event["type"] == "response.output_audio_transcript.done":
            return str(event["transcript"])
