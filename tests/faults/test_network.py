"""A network that cuts, delays and loses: what comes is whole, once and in order."""

from __future__ import annotations

import base64
import math
import struct

import pytest
from tests.faults.house import WORDS, House, answer, told
from tests.relay.relayed import peer_of
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.asyncio(loop_scope="package")

SPOKEN = {
    "type": "realtime",
    "output_modalities": ["text"],
    "audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}}},
}


async def test_a_cut_connection_is_come_back_to(house: House) -> None:
    cut = "network-cut;at=3;after=response.output_text.delta"
    async with house.talk(cut, "&resume=on", whole=False) as peer:
        assert peer.socket.response is not None
        token = peer.socket.response.headers["x-kaiwa-resume"]
        await peer.say("tell me")
        with pytest.raises(ConnectionClosed):
            await answer(peer)
        last = peer.heard[-1]["event_id"]
        before = told(peer)
        assert before and before != WORDS
    path = f"/v1/realtime?resume={token}&last_event_id={last}"
    async with peer_of(house.address.replace("http", "ws"), path) as back:
        assert await answer(back) == WORDS
        assert before + told(back) == WORDS
        await back.say("thanks")
        assert await answer(back) == "You said: thanks"


async def test_late_frames_come_whole_and_in_order(house: House) -> None:
    async with house.talk("network-late;late_ms=40;jitter_ms=20") as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS


async def test_a_slow_reader_gets_everything(house: House) -> None:
    async with house.talk("network-slow-reader;bytes_per_s=40000") as peer:
        await peer.say("tell me")
        assert await answer(peer) == told(peer) == WORDS


async def test_a_turn_with_lost_sound_is_answered(house: House) -> None:
    async with house.talk("network-loss;share=0.1") as peer:
        await peer.send("session.update", session=SPOKEN)
        await peer.until("session.updated")
        for frame in [_tone()] * 60 + [bytes(960)] * 60:
            await peer.send("input_audio_buffer.append", audio=base64.b64encode(frame).decode())
        assert await answer(peer) == told(peer) == WORDS


def _tone() -> bytes:
    """Return 20 ms of a loud tone, PCM16 at 24 kHz."""
    return struct.pack("<480h", *(int(9000 * math.sin(number / 6)) for number in range(480)))
