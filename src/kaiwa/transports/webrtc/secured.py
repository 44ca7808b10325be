# pyright: reportPrivateUsage=false
"""DTLS and SRTP of one call. Knows aiortc's transport, and the few private members of it that are used here.

`tests/transports/webrtc/test_aiortc.py` checks those members, so that another aiortc fails there first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import pylibsrtp
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport

_HELD_DATAGRAMS: Final = 512


class LitePath:
    """What aiortc's DTLS needs of ICE: datagrams in, datagrams out. Which address that is, the checks say."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._put = send
        self._datagrams: asyncio.Queue[bytes | None] = asyncio.Queue(_HELD_DATAGRAMS)
        self.state = "completed"

    def feed(self, data: bytes) -> None:
        """Take a DTLS datagram. When too many wait this one is lost, as on any network."""
        if not self._datagrams.full():
            self._datagrams.put_nowait(data)

    def close(self) -> None:
        self.state = "closed"
        if self._datagrams.full():
            self._datagrams.get_nowait()
        self._datagrams.put_nowait(None)

    async def _recv(self) -> bytes:
        data = await self._datagrams.get()
        if data is None:
            raise ConnectionError("the call is over")
        return data

    async def _send(self, data: bytes) -> None:
        self._put(data)


def new_certificate() -> RTCCertificate:
    """Return a certificate for a process: making one for each call would cost more than it hides."""
    return RTCCertificate.generateCertificate()


def fingerprint_of(certificate: RTCCertificate) -> str:
    return next(one.value for one in certificate.getFingerprints() if one.algorithm == "sha-256")


class Secured:
    """One DTLS association and the SRTP keys that come of it. `over` is called when it ends."""

    def __init__(
        self, certificate: RTCCertificate, send: Callable[[bytes], None], over: Callable[[str], None]
    ) -> None:
        self._path = LitePath(send)
        self._over = over
        self.dtls = RTCDtlsTransport(cast(RTCIceTransport, self._path), [certificate])
        self._in: pylibsrtp.Session | None = None
        self._out: pylibsrtp.Session | None = None

    def feed(self, datagram: bytes) -> None:
        self._path.feed(datagram)

    async def start(self, fingerprints: Sequence[tuple[str, str]], *, begins: bool) -> bool:
        """Shake hands with who has a certificate of these, and say whether that came to a good end."""
        self.dtls._set_role("client" if begins else "server")
        given = [RTCDtlsFingerprint(algorithm=name, value=value) for name, value in fingerprints]
        await self.dtls.start(RTCDtlsParameters(fingerprints=given))
        if self.dtls.state != "connected":
            return False
        self._in, self._out = self.dtls._rx_srtp, self.dtls._tx_srtp
        self.dtls.on("statechange", self._changed)
        if self.dtls._task is not None:
            self.dtls._task.add_done_callback(_look_at)
        return True

    def opened(self, packet: bytes) -> bytes | None:
        """Return an RTP packet as it was before it was protected; None when it is not the peer's."""
        try:
            return self._in.unprotect(packet) if self._in is not None else None
        except pylibsrtp.Error:
            return None

    def opened_report(self, packet: bytes) -> bytes | None:
        """The same for RTCP."""
        try:
            return self._in.unprotect_rtcp(packet) if self._in is not None else None
        except pylibsrtp.Error:
            return None

    def sealed(self, packet: bytes) -> bytes:
        assert self._out is not None, "nothing is sent before the handshake"
        return self._out.protect(packet)

    def sealed_report(self, packet: bytes) -> bytes:
        assert self._out is not None, "nothing is sent before the handshake"
        return self._out.protect_rtcp(packet)

    async def stop(self) -> None:
        """Say good-bye. Idempotent."""
        self.dtls.remove_all_listeners()
        pump: Any = self.dtls._task
        await self.dtls.stop()
        self._path.close()
        if pump is not None:
            await asyncio.wait([pump])

    def _changed(self) -> None:
        if self.dtls.state in ("closed", "failed"):
            self._over("closed by the peer")


def _look_at(task: asyncio.Future[None]) -> None:
    """Take the error of a finished task: what it means was told by the change of state."""
    if not task.cancelled():
        task.exception()
