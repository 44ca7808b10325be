"""The private members of aiortc that the media path uses. When this fails, read secured.py and channel.py."""

from __future__ import annotations

import asyncio
import inspect

import pylibsrtp
from aiortc import RTCCertificate, RTCDtlsTransport, RTCSctpTransport

from kaiwa.transports.webrtc.secured import LitePath


async def test_the_handshake_has_the_members_that_are_used() -> None:
    transport = RTCDtlsTransport(LitePath(lambda data: None), [RTCCertificate.generateCertificate()])  # type: ignore[arg-type]
    assert (transport._rx_srtp, transport._tx_srtp, transport._task) == (None, None, None)
    transport._set_role("client")
    assert transport._role == "client"
    assert transport.state == "new"


async def test_all_that_aiortc_asks_of_ice_is_there() -> None:
    source = inspect.getsource(RTCDtlsTransport)
    asked = {name for name in ("_recv", "_send", "role", "state") if f"transport.{name}" in source}
    assert asked == {"_recv", "_send", "role"}
    path = LitePath(lambda data: None)
    path.feed(b"x")
    assert await path._recv() == b"x"


async def test_the_association_has_the_members_that_are_used() -> None:
    transport = RTCDtlsTransport(LitePath(lambda data: None), [RTCCertificate.generateCertificate()])  # type: ignore[arg-type]
    association = RTCSctpTransport(transport)
    assert (association._rto, association._advertised_rwnd) == (3.0, 1024 * 1024)
    assert not (association._data_channel_queue or association._outbound_queue or association._sent_queue)
    association._update_rto(0.01)
    assert (association._rto, association._srtt, association._rttvar) == (1, 0.01, 0.005)
    for name in ("_receive_sack_chunk", "_receive_data_chunk"):
        assert asyncio.iscoroutinefunction(getattr(association, name))


def test_the_srtp_session_protects_both_kinds() -> None:
    for name in ("protect", "protect_rtcp", "unprotect", "unprotect_rtcp"):
        assert callable(getattr(pylibsrtp.Session, name))
