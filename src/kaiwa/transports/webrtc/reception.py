"""What is told of a stream in RTCP: how much of it came, how evenly. Source: RFC 3550, A.3 and A.8. Pure."""

from __future__ import annotations

from kaiwa.transports.webrtc.rtp import ReportBlock, RtpPacket


class Reception:
    """Counts one incoming stream."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._ssrc: int | None = None
        self._start()

    def _start(self) -> None:
        self._base = self._highest = self._received = 0
        self._told_expected = self._told_received = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._report_ntp = 0
        self._report_at = 0.0

    def arrived(self, packet: RtpPacket, now: float) -> None:
        if packet.ssrc != self._ssrc:
            self._start()
            self._ssrc = packet.ssrc
            self._base = self._highest = packet.sequence
        ahead = (packet.sequence - self._highest) & 0xFFFF
        if ahead < 0x8000:
            self._highest += ahead
        self._received += 1
        transit = now * self._clock_hz - packet.timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            # A change beyond a second is the timestamp's overflow or a pause, not jitter.
            if change < self._clock_hz:
                self._jitter += (change - self._jitter) / 16
        self._transit = transit

    def reported(self, ntp: int, now: float) -> None:
        """Note the peer's own report, so that it can measure the way there and back."""
        self._report_ntp, self._report_at = ntp >> 16 & 0xFFFFFFFF, now

    def block(self, now: float) -> ReportBlock | None:
        """Return the next report on the stream, or None before it began."""
        if self._ssrc is None:
            return None
        expected = self._highest - self._base + 1
        expected_now, received_now = expected - self._told_expected, self._received - self._told_received
        self._told_expected, self._told_received = expected, self._received
        lost_now = max(0, expected_now - received_now)
        return ReportBlock(
            ssrc=self._ssrc,
            lost_share=min(255, lost_now * 256 // expected_now) if expected_now > 0 else 0,
            lost=min(max(0, expected - self._received), 0x7FFFFF),
            highest=self._highest & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_report=self._report_ntp,
            since_last_report=int((now - self._report_at) * 65536) & 0xFFFFFFFF if self._report_ntp else 0,
        )
