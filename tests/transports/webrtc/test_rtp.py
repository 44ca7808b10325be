"""RTP and RTCP against aiortc's reader and writer, and what is reported of a stream."""

from __future__ import annotations

from aiortc import rtp as theirs
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.transports.webrtc.reception import Reception
from kaiwa.transports.webrtc.rtp import (
    ReportBlock,
    RtpPacket,
    is_rtcp,
    ntp,
    read_rtcp,
    read_rtp,
    write_report,
    write_rtp,
)

PACKET = RtpPacket(111, 65535, 4_294_967_295, 77, b"payload")


def packet(sequence: int, timestamp: int, ssrc: int = 7) -> RtpPacket:
    return RtpPacket(111, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, b"x")


def test_a_packet_survives_both_ways() -> None:
    wire = write_rtp(PACKET, marker=True)
    read = theirs.RtpPacket.parse(wire)
    assert (read.payload_type, read.sequence_number, read.timestamp, read.ssrc) == PACKET[:4]
    assert (read.payload, read.marker) == (b"payload", 1)
    assert read_rtp(wire) == PACKET


def test_extensions_sources_and_padding_are_stepped_over() -> None:
    extension = bytes.fromhex("bede0001") + b"abcd"
    wire = bytes([0xB2]) + write_rtp(PACKET)[1:12] + bytes(8) + extension + b"payload" + bytes(4) + b"\5"
    assert read_rtp(wire) == PACKET


@given(st.binary(max_size=64))
def test_no_datagram_breaks_the_readers(noise: bytes) -> None:
    read_rtp(noise)
    read_rtp(bytes([0xBF]) + noise)
    read_rtcp(noise)
    read_rtcp(b"\x81\xc8" + noise)


def test_another_library_reads_our_report() -> None:
    heard = ReportBlock(9, 128, 3, 70_000, 12, 5, 6)
    wire = write_report(7, "kaiwa", ntp_time=ntp(1.5), timestamp=960, packets=5, octets=500, heard=heard)
    assert is_rtcp(wire)
    sender, description = theirs.RtcpPacket.parse(wire)
    assert isinstance(sender, theirs.RtcpSrPacket)
    assert (sender.ssrc, sender.sender_info.ntp_timestamp >> 31 & 1) == (7, 1)
    block = sender.reports[0]
    assert (block.ssrc, block.fraction_lost, block.packets_lost, block.highest_sequence) == (
        9,
        128,
        3,
        70_000,
    )
    assert isinstance(description, theirs.RtcpSdesPacket)
    assert description.chunks[0].items == [(1, b"kaiwa")]
    assert read_rtcp(wire) == ((heard,), ntp(1.5), False)


def test_lost_packets_are_counted_for_the_interval_and_for_ever() -> None:
    reception = Reception(48_000)
    for number in (65530, 65531, 65533, 65534, 65535, 0, 1, 3):
        reception.arrived(packet(number, number * 960), now=number / 50)
    block = reception.block(now=2.0)
    assert block is not None
    assert (block.lost, block.lost_share, block.highest) == (2, 2 * 256 // 10, 65536 + 3)
    reception.arrived(packet(4, 0), now=2.1)
    block = reception.block(now=2.1)
    assert block is not None
    assert (block.lost, block.lost_share) == (2, 0)


def test_an_even_stream_has_no_jitter_and_an_uneven_one_has() -> None:
    even, uneven = Reception(48_000), Reception(48_000)
    for number in range(200):
        even.arrived(packet(number, number * 960), now=number * 0.02)
        uneven.arrived(packet(number, number * 960), now=number * 0.02 + (number % 2) * 0.01)
    first, second = even.block(5.0), uneven.block(5.0)
    assert first is not None and second is not None
    assert first.jitter == 0
    assert 400 < second.jitter < 500
