"""A peer that costs little: it sends packets encoded beforehand and notes when packets come.

Full ICE as far as a server needs it, DTLS and SCTP as the server has them; no codec, so that a hundred of
them fit beside the server they measure.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCSctpCapabilities,
    RTCSctpTransport,
)

from kaiwa.transports.webrtc import stun
from kaiwa.transports.webrtc.rtp import RtpPacket, is_rtcp, read_rtp, write_rtp
from kaiwa.transports.webrtc.secured import Secured, fingerprint_of

STEP_S = 0.02
_CHECK_EVERY = 100


class BarePeer:
    """`heard` is called with every packet and the time it came."""

    def __init__(
        self,
        certificate: RTCCertificate,
        payloads: Sequence[bytes],
        heard: Callable[[RtpPacket, float], None],
        told: Callable[[str], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._payloads = payloads
        self._heard = heard
        self._told = told
        self._certificate = certificate
        self._ufrag, self._key = secrets.token_hex(4), secrets.token_hex(16)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("0.0.0.0", 0))
        self._secured = Secured(certificate, self._put, lambda reason: None)
        self._reached = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._ssrc = secrets.randbits(31)
        self._sent = 0
        self.channel: RTCDataChannel | None = None
        self.round_began = -1, 0.0
        """The last packet with the first payload: its number, and when it went."""

    def offer(self) -> str:
        ice = f"a=ice-ufrag:{self._ufrag}\r\na=ice-pwd:{self._key}\r\n"
        keys = f"a=fingerprint:sha-256 {fingerprint_of(self._certificate)}\r\na=setup:actpass\r\n"
        return (
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
            "a=group:BUNDLE 0 1\r\na=msid-semantic: WMS *\r\n"
            f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n{ice}{keys}a=mid:0\r\na=sendrecv\r\n"
            "a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
            f"a=ssrc:{self._ssrc} cname:bench\r\n"
            f"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n{ice}{keys}a=mid:1\r\n"
            "a=sctp-port:5000\r\na=max-message-size:262144\r\n"
        )

    async def connect(self, answer_sdp: str) -> None:
        """Connect to the first IPv4 address of the answer, and begin to send."""
        ip, port = re.findall(r"a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) ", answer_sdp)[0]
        self._name = f"{_attribute(answer_sdp, 'ice-ufrag')}:{self._ufrag}"
        self._their_key = _attribute(answer_sdp, "ice-pwd").encode()
        self._server = (ip, int(port))
        self._loop.add_reader(self._socket, self._read)
        while not self._reached.is_set():
            self._check()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await self._reached.wait()
        given = re.findall(r"a=fingerprint:(sha-256) (\S+)", answer_sdp)[:1]
        assert await self._secured.start(given, begins=False), "the handshake failed"
        association = RTCSctpTransport(self._secured.dtls)
        await association.start(RTCSctpCapabilities(maxMessageSize=262144), 5000)
        self._association = association
        self.channel = RTCDataChannel(association, RTCDataChannelParameters(label="oai-events"))
        opened = asyncio.Event()
        self.channel.on("open", opened.set)
        if self._told is not None:
            self.channel.on("message", self._told)
        await opened.wait()
        self._began = self._loop.time() + secrets.randbelow(20) / 1000
        self._send()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)

    async def leave(self) -> None:
        await self._association.stop()
        await self._secured.stop()
        self.close()
        self._socket.close()

    def _check(self) -> None:
        check = stun.request(secrets.token_bytes(12), self._name, self._their_key, nominates=True)
        self._put(check)

    def _put(self, data: bytes) -> None:
        self._socket.sendto(data, self._server)

    def _send(self) -> None:
        payload = self._payloads[self._sent % len(self._payloads)]
        packet = RtpPacket(111, self._sent & 0xFFFF, self._sent * 960 & 0xFFFFFFFF, self._ssrc, payload)
        self._put(self._secured.sealed(write_rtp(packet)))
        if self._sent % len(self._payloads) == 0:
            self.round_began = self._sent, self._loop.time()
        self._sent += 1
        if self._sent % _CHECK_EVERY == 0:
            self._check()
        self._timer = self._loop.call_at(self._began + self._sent * STEP_S, self._send)

    def _read(self) -> None:
        for _ in range(16):
            try:
                data, address = self._socket.recvfrom(2048)
            except BlockingIOError:
                return
            self._take(data, address, self._loop.time())

    def _take(self, data: bytes, address: Any, now: float) -> None:
        first = data[0]
        if first > 127:
            if not is_rtcp(data) and (plain := self._secured.opened(data)) and (packet := read_rtp(plain)):
                self._heard(packet, now)
        elif first > 19:
            self._secured.feed(data)
        elif (request := stun.read_request(data)) is not None:
            self._put(stun.success(request.transaction_id, address, self._key.encode()))
        else:
            self._reached.set()


def _attribute(sdp: str, name: str) -> str:
    found = re.search(rf"a={name}:(\S+)", sdp)
    assert found is not None, f"the answer has no {name}"
    return found.group(1)
