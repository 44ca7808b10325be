"""Whole calls with a peer that is not ours, in this loop and through a media process."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import AsyncExitStack

import numpy as np
import pytest
from aiortc import RTCRtpSender
from tests.transports.webrtc.aiortc_peer import RATE_HZ, STEP, AiortcPeer, aiortc_peer, loudest_hz, sine
from tests.transports.webrtc.here import (
    HOUSE_HZ,
    WITHIN_S,
    Listener,
    audio_delta,
    media_service,
    told,
    watching_stalls,
)

from kaiwa.audio.formats import decoder_for, encoder_for
from kaiwa.events.client import FrameRejected, ResponseCancelled
from kaiwa.events.config import AudioInput, AudioOutput, PcmuFormat, SessionAudio, SessionConfig
from kaiwa.events.response import Response, ResponseAudio, ResponseOutputFormat
from kaiwa.events.server import OutputAudioCleared, ResponseCreated, SessionUpdated
from kaiwa.testing.faults.network import BadLine, bad_line
from kaiwa.transports.webrtc import MediaService
from kaiwa.transports.webrtc.transport import UNTAKEN


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


async def connected(media: MediaService, peer: AiortcPeer) -> Listener:
    call = await media.answer(await peer.offer())
    await peer.accept(call.answer_sdp)
    if peer.channel is not None:
        await peer.opened.wait()
    return Listener(call)


async def test_calls_at_the_same_time_hear_each_their_own() -> None:
    async with asyncio.timeout(3 * WITHIN_S), media_service() as media, AsyncExitStack() as stack:
        tones = (400.0, 600.0, 900.0)
        peers = [await stack.enter_async_context(aiortc_peer(hz)) for hz in tones]
        servers = [await connected(media, peer) for peer in peers]
        for server, hz in zip(servers, tones, strict=True):
            await server.say(hz * 2, seconds=3)
        heard = await asyncio.gather(*(server.hears(0.7) for server in servers))
        played = await asyncio.gather(*(peer.hears(RATE_HZ) for peer in peers))
        assert [round(loudest_hz(sound[-12_000:], HOUSE_HZ), -1) for sound in heard] == list(tones)
        assert [round(loudest_hz(sound[-24_000:], RATE_HZ), -1) for sound in played] == [
            hz * 2 for hz in tones
        ]
        await peers[0].close()
        await servers[0].call.ended.wait()
        await servers[1].hears(0.1)
        await asyncio.gather(*(server.call.hang_up() for server in servers))


async def test_a_barge_in_is_silence_and_not_the_rest_of_the_answer() -> None:
    async with asyncio.timeout(3 * WITHIN_S), media_service() as media, aiortc_peer() as peer:
        server = await connected(media, peer)
        await server.say(1000.0, seconds=20)
        while not np.abs(await peer.hears(STEP)).max() > 4000:
            pass
        cut_at = time.monotonic()
        await server.call.transport.send(OutputAudioCleared(event_id="e", response_id="resp_1"))
        while np.abs(await peer.hears(STEP)).max() > 200:
            pass
        # aiortc holds four packets back before it plays (80 ms), and our queue may be in the middle of one: of the
        # 20 s that were said about 0.1 s are still heard. A busy machine hears late what had left before.
        after = [piece for when, piece in peer.heard if when > cut_at and np.abs(piece).max() > 200]
        assert sum(len(piece) for piece in after) < RATE_HZ
        assert json.loads(await peer.frames.get())["type"] == "output_audio_buffer.cleared"
        await server.say(700.0, seconds=1)
        await peer.hears(RATE_HZ // 4)
        assert abs(loudest_hz(await peer.hears(RATE_HZ // 4), RATE_HZ) - 700) < 8
        await server.call.hang_up()


async def test_sound_survives_a_network_that_loses_and_swaps_packets() -> None:
    async with (
        asyncio.timeout(3 * WITHIN_S),
        media_service(own_process=False) as media,
        aiortc_peer(440.0) as peer,
    ):
        call = await media.answer(await peer.offer())
        port = int(re.search(r"m=audio (\d+)", call.answer_sdp).group(1))  # type: ignore[union-attr]
        async with bad_line(port, BadLine(loss=0.05, reorder=0.05)) as (network, way):
            await peer.accept(call.answer_sdp.replace(f" {port} typ", f" {way} typ"))
            server = Listener(call)
            stood_still_s = 1.0
            while (
                stood_still_s > 0.06
            ):  # three packets: what this loop's peer sent too late is not the network's
                async with watching_stalls() as stalls:
                    sound = (await server.hears(4.0)).astype(float)
                stood_still_s = stalls.seconds
            assert network.lost > 3
            assert abs(loudest_hz(sound, HOUSE_HZ) - 440) < 2
            frames = sound[4800 : 4800 + 480 * 180].reshape(-1, 480)
            quiet = int((np.sqrt((frames**2).mean(axis=1)) < 1000).sum())
            assert quiet <= 2
            await call.hang_up()
            assert call.facts["recovered"] >= network.lost * 0.6


async def test_large_events_arrive_whole_and_too_large_ones_are_told_of() -> None:
    async with asyncio.timeout(3 * WITHIN_S), media_service() as media, aiortc_peer() as peer:
        server = await connected(media, peer)
        # aiortc says max-message-size:262144, as browsers do.
        await server.call.transport.send(told("あ" * 80_000, 1))
        await server.call.transport.send(told("あ" * 100_000, 2))
        await server.call.transport.send(told("small", 3))
        whole, refused, small = [json.loads(await peer.frames.get()) for _ in range(3)]
        assert whole["delta"] == "あ" * 80_000
        assert (refused["type"], refused["error"]["code"], refused["event_id"]) == (
            "error",
            "event_too_large",
            "event_2",
        )
        assert small["delta"] == "small"
        await server.call.hang_up()


async def test_a_peer_that_reads_slowly_makes_the_writer_wait() -> None:
    async with asyncio.timeout(3 * WITHIN_S), media_service() as media, aiortc_peer() as peer:
        server = await connected(media, peer)
        for number in range(40):
            await server.call.transport.send(told("x" * 100_000, number))
        frames = [json.loads(await peer.frames.get()) for _ in range(40)]
        assert [frame["event_id"] for frame in frames] == [f"event_{number}" for number in range(40)]
        assert server.call.transport._untaken <= UNTAKEN
        await server.call.hang_up()


async def test_sound_in_the_data_channel_is_refused_and_the_call_goes_on() -> None:
    async with (
        asyncio.timeout(3 * WITHIN_S),
        media_service(own_process=False) as media,
        aiortc_peer() as peer,
    ):
        server = await connected(media, peer)
        assert peer.channel is not None
        peer.channel.send(
            json.dumps({"type": "input_audio_buffer.append", "event_id": "mine", "audio": "AAAA"})
        )
        refused = await server.events.get()
        assert isinstance(refused, FrameRejected) and refused.rejected_event_id == "mine"
        peer.channel.send(b"\xff\xfe")
        assert isinstance(await server.events.get(), FrameRejected)
        peer.channel.send(json.dumps({"type": "response.cancel"}))
        assert isinstance(await server.events.get(), ResponseCancelled)
        await server.call.hang_up()


async def test_a_session_in_g711_is_given_g711_and_gives_it() -> None:
    async with (
        asyncio.timeout(3 * WITHIN_S),
        media_service(own_process=False) as media,
        aiortc_peer(440.0) as peer,
    ):
        server = await connected(media, peer)
        mulaw = SessionAudio(input=AudioInput(format=PcmuFormat()), output=AudioOutput(format=PcmuFormat()))
        session = SessionConfig(id="sess_1", model="m", audio=mulaw)
        await server.call.transport.send(SessionUpdated(event_id="e1", session=session))
        await server.hears(0.1)
        begin = len(server.sound)
        await server.hears(0.3)
        said = decoder_for(PcmuFormat()).push(bytes(server.sound[begin : begin + 8000]))
        assert abs(loudest_hz(np.frombuffer(said, "<i2"), HOUSE_HZ) - 440) < 5

        spoken = ResponseAudio(output=ResponseOutputFormat(format=PcmuFormat()))
        response = Response(id="resp_1", conversation_id="conv_1", output_modalities=("audio",), audio=spoken)
        await server.call.transport.send(ResponseCreated(event_id="e2", response=response))
        sound = encoder_for(PcmuFormat()).push(sine(1000, HOUSE_HZ * 2, rate_hz=HOUSE_HZ).tobytes())
        await server.call.transport.send(audio_delta(sound))
        await peer.hears(RATE_HZ // 4)
        assert abs(loudest_hz(await peer.hears(RATE_HZ // 2), RATE_HZ) - 1000) < 5
        await server.call.hang_up()


async def test_a_call_in_g711_carries_sound_both_ways() -> None:
    async with (
        asyncio.timeout(3 * WITHIN_S),
        media_service(own_process=False) as media,
        aiortc_peer(440.0) as peer,
    ):
        await peer.offer()
        peer.connection.getTransceivers()[0].setCodecPreferences(
            [one for one in RTCRtpSender.getCapabilities("audio").codecs if one.mimeType == "audio/PCMU"]
        )
        server = await connected(media, peer)
        assert "PCMU/8000" in server.call.answer_sdp and "opus" not in server.call.answer_sdp
        await server.say(1000.0, seconds=2)
        await peer.hears(RATE_HZ // 4)
        assert abs(loudest_hz(await server.hears(0.5), HOUSE_HZ) - 440) < 5
        assert abs(loudest_hz(await peer.hears(RATE_HZ // 2), RATE_HZ) - 1000) < 60
        await server.call.hang_up()


async def test_a_call_over_ipv6_works_like_any_other() -> None:
    async with asyncio.timeout(3 * WITHIN_S), media_service(host="::1") as media, aiortc_peer(440.0) as peer:
        server = await connected(media, peer)
        assert " ::1 " in server.call.answer_sdp
        assert abs(loudest_hz(await server.hears(0.5), HOUSE_HZ) - 440) < 5
        await server.call.hang_up()
