"""How calls begin and end: limits, time-outs, deaths. None of it touches another call."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket

import pytest
from tests.transports.webrtc.aiortc_peer import aiortc_peer
from tests.transports.webrtc.chromium_offer import AUDIO, CHANNEL, offer
from tests.transports.webrtc.here import Listener, audio_delta, media_service, told

from kaiwa.errors import ConfigError, PeerError, UpstreamError
from kaiwa.transports.webrtc import MediaService, MediaSettings, connection, stun


def connected_socket(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.connect(("127.0.0.1", port))
    return made


pytestmark = pytest.mark.timeout(120)  # seconds; none waits for anything else than the peer


async def test_hanging_up_delivers_the_last_words_first() -> None:
    async with media_service(own_process=False) as media, aiortc_peer() as peer:
        call = await media.answer(await peer.offer())
        await peer.accept(call.answer_sdp)
        await peer.opened.wait()
        for number in range(200):
            await call.transport.send(told(f"{number:04} " + "x" * 2000, number))
        await call.transport.close(1000, "done")
        await call.ended.wait()
        words = [await peer.frames.get() for _ in range(200)]
        await peer.closed.wait()
        assert [f"{number:04}" in frame for number, frame in enumerate(words)] == [True] * 200
        assert call.reason == "hung up"
        with pytest.raises(ConnectionError):
            await call.transport.send(told("too late"))


async def test_a_channel_that_is_closed_is_a_call_hung_up() -> None:
    async with media_service(own_process=False) as media, aiortc_peer(label="realtime-channel") as peer:
        call = await media.answer(await peer.offer())
        await peer.accept(call.answer_sdp)
        await peer.opened.wait()
        assert peer.channel is not None
        peer.channel.close()
        await call.ended.wait()
        assert call.reason == "channel closed"


async def test_a_peer_without_a_channel_talks_and_goes() -> None:
    async with media_service(own_process=False) as media, aiortc_peer(440.0, label=None) as peer:
        call = await media.answer(await peer.offer())
        await peer.accept(call.answer_sdp)
        server = Listener(call)
        for number in range(100):
            await call.transport.send(told("x" * 100_000, number))
        await server.hears(0.3)
        await peer.close()
        await call.ended.wait()
        await server.task
        assert call.reason == "closed by the peer"


async def test_a_peer_that_falls_silent_is_given_up() -> None:
    async with media_service(own_process=False, silent_s=0.5) as media, aiortc_peer(440.0) as peer:
        call = await media.answer(await peer.offer())
        await peer.accept(call.answer_sdp)
        await peer.opened.wait()
        peer.connection._RTCPeerConnection__sctp.transport.transport._connection._protocols[
            0
        ].transport.close()
        for sender in peer.connection.getSenders():
            sender.replaceTrack(None)
        await asyncio.wait_for(call.ended.wait(), 20)
        assert call.reason == "lost"


async def test_a_peer_that_never_connects_is_given_up() -> None:
    async with media_service(own_process=False, connect_s=0.2) as media:
        call = await media.answer(offer())
        await call.ended.wait()
        assert call.reason == "never connected"
        assert media.live == 0


async def test_a_peer_with_another_certificate_is_not_let_in() -> None:
    async with media_service(own_process=False) as media, aiortc_peer() as peer:
        forged = re.sub(r"(a=fingerprint:sha-\d+ )..:..", r"\1AB:CD", await peer.offer())
        call = await media.answer(forged)
        await peer.accept(call.answer_sdp)
        await call.ended.wait()
        assert call.reason == "handshake failed"


async def test_hanging_up_before_anybody_came_ends_at_once() -> None:
    async with media_service(own_process=False) as media:
        call = await media.answer(offer())
        async with asyncio.timeout(20):
            await call.hang_up()
            await call.hang_up()


async def test_one_call_too_many_is_refused_and_room_is_made_by_hanging_up() -> None:
    async with media_service(own_process=False, max_calls=2) as media:
        first, second = await media.answer(offer()), await media.answer(offer())
        with pytest.raises(UpstreamError) as busy:
            await media.answer(offer())
        assert (busy.value.code, busy.value.retryable) == ("media_busy", True)
        await first.hang_up()
        third = await media.answer(offer())
        await asyncio.gather(second.hang_up(), third.hang_up())


async def test_an_offer_that_cannot_be_answered_is_the_peers_fault() -> None:
    async with media_service(own_process=False) as media:
        with pytest.raises(PeerError):
            await media.answer("v=0\r\n")
        assert media.live == 0


async def test_a_port_in_use_is_a_wrong_setting() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings = MediaSettings(ports=(taken.getsockname()[1],))
        with pytest.raises(ConfigError, match="KAIWA_RTC_PORT"):
            await MediaService.start(settings)


async def test_a_public_address_is_the_one_that_is_told() -> None:
    given = ("203.0.113.7", "[2001:db8::7]:9", "203.0.113.8:7000")
    async with media_service(own_process=False, public_addresses=given) as media:
        call = await media.answer(offer())
        told_addresses = re.findall(r"a=candidate:\d+ 1 udp \d+ (\S+) (\d+) typ host", call.answer_sdp)
        assert told_addresses[1:] == [("2001:db8::7", "9"), ("203.0.113.8", "7000")]
        assert told_addresses[0][0] == "203.0.113.7"
        await call.hang_up()
    with pytest.raises(ConfigError, match="KAIWA_RTC_PUBLIC_IP"):
        await MediaService.start(MediaSettings(own_process=False, public_addresses=("example.com",)))


async def test_a_media_process_that_dies_ends_its_calls_and_the_next_offer_starts_another() -> None:
    async with (
        media_service(own_process=True) as media,
        aiortc_peer(440.0) as peer,
        aiortc_peer(440.0) as other,
    ):
        call = await media.answer(await peer.offer())
        await peer.accept(call.answer_sdp)
        server = Listener(call)
        await server.hears(0.2)
        (first,) = media.process_ids
        os.kill(first, signal.SIGKILL)
        await call.ended.wait()
        await server.task
        assert call.reason == "media process ended"
        with pytest.raises(ConnectionError):
            await call.transport.send(audio_delta(b"\0\0"))

        again = await media.answer(await other.offer())
        await other.accept(again.answer_sdp)
        survivor = Listener(again)
        await survivor.hears(0.2)
        assert media.process_ids != [first]
        await again.hang_up()
        await survivor.task


async def test_calls_are_shared_out_between_processes() -> None:
    async with media_service(own_process=True, ports=(0, 0)) as media:
        assert len(media.process_ids) == 2
        calls = [await media.answer(offer()) for _ in range(4)]
        ports = [re.search(r"m=audio (\d+)", call.answer_sdp) for call in calls]
        assert len({found.group(1) for found in ports if found}) == 2
        await asyncio.gather(*(call.hang_up() for call in calls))


async def test_strangers_are_not_answered() -> None:
    async with media_service(own_process=False) as media:
        call = await media.answer(offer(AUDIO, CHANNEL))
        port = int(re.search(r"m=audio (\d+)", call.answer_sdp).group(1))  # type: ignore[union-attr]
        ours = re.search(r"a=ice-ufrag:(\S+)", call.answer_sdp).group(1)  # type: ignore[union-attr]
        key = re.search(r"a=ice-pwd:(\S+)", call.answer_sdp).group(1).encode()  # type: ignore[union-attr]
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            stranger.bind(("127.0.0.1", 0))
            await loop.sock_connect(stranger, ("127.0.0.1", port))
            for noise in (
                stun.request(b"a" * 12, "nobody:x", key, nominates=True),
                stun.request(b"b" * 12, f"{ours}:x", b"guessed", nominates=True),
                b"\x80" + bytes(60),
                b"\x16" + bytes(60),
                bytes(1500),
            ):
                await loop.sock_sendall(stranger, noise)
            await loop.sock_sendall(stranger, stun.request(b"c" * 12, f"{ours}:x", key, nominates=False))
            answer = await loop.sock_recv(stranger, 2048)
            assert answer[8:20] == b"c" * 12
        await call.hang_up()


@pytest.mark.parametrize(
    ("silent_for_s", "followed", "patience_s"),
    [(0.0, True, 20), (60.0, False, 1.5)],
    ids=["silent", "not yet"],
)
async def test_a_peer_that_moves_is_followed_once_its_old_place_is_silent(
    monkeypatch: pytest.MonkeyPatch, silent_for_s: float, followed: bool, patience_s: float
) -> None:
    monkeypatch.setattr(connection, "MOVED_S", silent_for_s)
    loop = asyncio.get_running_loop()
    async with media_service(own_process=False) as media:
        call = await media.answer(offer())
        port = int(re.search(r"m=audio (\d+)", call.answer_sdp).group(1))  # type: ignore[union-attr]
        ours = re.search(r"a=ice-ufrag:(\S+)", call.answer_sdp).group(1)  # type: ignore[union-attr]
        key = re.search(r"a=ice-pwd:(\S+)", call.answer_sdp).group(1).encode()  # type: ignore[union-attr]

        async def handshakes_at(place: socket.socket, *, nominates: bool) -> bool:
            """Check from this place; say whether the handshake comes there: it is repeated after a second."""
            await loop.sock_sendall(place, stun.request(b"c" * 12, f"{ours}:x", key, nominates=nominates))
            try:
                async with asyncio.timeout(20 if nominates else patience_s):
                    while (await loop.sock_recv(place, 2048))[0] != 22:
                        pass
            except TimeoutError:
                return False
            return True

        with connected_socket(port) as home, connected_socket(port) as elsewhere:
            assert await handshakes_at(home, nominates=True)
            assert await handshakes_at(elsewhere, nominates=False) is followed
        await call.hang_up()


async def test_the_service_closes_over_live_calls() -> None:
    async with aiortc_peer(440.0) as peer:
        async with media_service(own_process=True) as media:
            call = await media.answer(await peer.offer())
            await peer.accept(call.answer_sdp)
            server = Listener(call)
            await server.hears(0.1)
        assert call.reason in ("closed", "hung up")
        await server.task
        await peer.closed.wait()
