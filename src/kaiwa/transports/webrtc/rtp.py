"""RTP packets and the RTCP reports beside them: bytes to values and back. Pure.

Source: RFC 3550. Header extensions are stepped over: nothing here needs one.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

_HEADER: Final = Struct("!BBHII")
_EXTENSION: Final = Struct("!HH")
_SENDER: Final = Struct("!BBHIQIII")
_BLOCK: Final = Struct("!IIIIII")
_RTCP_HEAD: Final = Struct("!BBHI")
_VERSION: Final = 0x80
_SENDER_REPORT: Final = 200
_RECEIVER_REPORT: Final = 201
_DESCRIPTION: Final = 202
_GOODBYE: Final = 203
_UNIX_TO_NTP_S: Final = 2_208_988_800


class RtpPacket(NamedTuple):
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class ReportBlock(NamedTuple):
    """What a receiver says of one stream. `lost_share`: of the last interval, in 256ths."""

    ssrc: int
    lost_share: int
    lost: int
    highest: int
    jitter: int
    last_report: int = 0
    since_last_report: int = 0


class Reports(NamedTuple):
    """A compound RTCP packet, as far as it matters: reports on us, the peer's own clock, a good-bye."""

    blocks: tuple[ReportBlock, ...]
    sender_ntp: int | None
    goodbye: bool


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP on one port. Source: RFC 5761, section 4."""
    return len(data) > 1 and 192 <= data[1] <= 223


def read_rtp(data: bytes) -> RtpPacket | None:
    """Return the packet, or None when it is broken."""
    size = len(data)
    if size < _HEADER.size or data[0] & 0xC0 != _VERSION:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > size:
            return None
        start += 4 + 4 * _EXTENSION.unpack_from(data, start)[1]
    end = size - data[-1] if first & 0x20 else size
    if start > end:
        return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end])


def write_rtp(packet: RtpPacket, *, marker: bool = False) -> bytes:
    second = packet.payload_type | (0x80 if marker else 0)
    return _HEADER.pack(_VERSION, second, packet.sequence, packet.timestamp, packet.ssrc) + packet.payload


def read_rtcp(data: bytes) -> Reports:
    """Return what a compound packet says; what is broken or unknown in it is left out."""
    blocks: list[ReportBlock] = []
    sender_ntp: int | None = None
    goodbye = False
    at = 0
    while at + _RTCP_HEAD.size <= len(data):
        first, kind, words, _ = _RTCP_HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if end > len(data):
            break
        if kind == _SENDER_REPORT and end - at >= _SENDER.size:
            sender_ntp = int.from_bytes(data[at + 8 : at + 16], "big")
            blocks += _blocks(data, at + _SENDER.size, end, first & 0x1F)
        elif kind == _RECEIVER_REPORT:
            blocks += _blocks(data, at + _RTCP_HEAD.size, end, first & 0x1F)
        goodbye = goodbye or kind == _GOODBYE
        at = end
    return Reports(tuple(blocks), sender_ntp, goodbye)


def _blocks(data: bytes, at: int, end: int, count: int) -> list[ReportBlock]:
    found: list[ReportBlock] = []
    while count and at + _BLOCK.size <= end:
        ssrc, lost, highest, jitter, last, since = _BLOCK.unpack_from(data, at)
        found.append(ReportBlock(ssrc, lost >> 24, lost & 0xFFFFFF, highest, jitter, last, since))
        at += _BLOCK.size
        count -= 1
    return found


def ntp(unix_s: float) -> int:
    """Return a wall clock time as RTCP counts it: seconds since 1900 in 32.32 fixed point."""
    return int((unix_s + _UNIX_TO_NTP_S) * 2**32) & 0xFFFFFFFFFFFFFFFF


def write_report(
    ssrc: int,
    cname: str,
    *,
    ntp_time: int,
    timestamp: int,
    packets: int,
    octets: int,
    heard: ReportBlock | None,
) -> bytes:
    """Return a sender report with at most one block about what was heard, and our name."""
    count = 0 if heard is None else 1
    words = (_SENDER.size + count * _BLOCK.size) // 4 - 1
    report = _SENDER.pack(
        _VERSION | count,
        _SENDER_REPORT,
        words,
        ssrc,
        ntp_time,
        timestamp,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    if heard is not None:
        lost = heard.lost_share << 24 | heard.lost
        report += _BLOCK.pack(
            heard.ssrc, lost, heard.highest, heard.jitter, heard.last_report, heard.since_last_report
        )
    name = bytes((1, len(cname))) + cname.encode()
    name += bytes(4 - len(name) % 4)
    return report + _RTCP_HEAD.pack(_VERSION | 1, _DESCRIPTION, 1 + len(name) // 4, ssrc) + name
