"""One peer in the media process: its checks, its handshake, its sound and its channel, from offer to end.

Joins the parts and watches over their lives; each part knows its own protocol.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from socket import socket
from typing import Any, Final

from aiortc import RTCCertificate

from kaiwa.transports.webrtc.answer import Facts, setup_of
from kaiwa.transports.webrtc.channel import EventChannel
from kaiwa.transports.webrtc.loudspeaker import Loudspeaker
from kaiwa.transports.webrtc.microphone import Microphone
from kaiwa.transports.webrtc.offer import Offer
from kaiwa.transports.webrtc.orders import Connected, Ended, Heard, Report, Taken, Told
from kaiwa.transports.webrtc.pace import STEP_S, Pace
from kaiwa.transports.webrtc.reception import Reception
from kaiwa.transports.webrtc.rtp import RtpPacket, is_rtcp, ntp, read_rtcp, read_rtp, write_report, write_rtp
from kaiwa.transports.webrtc.secured import Secured
from kaiwa.transports.webrtc.settings import MediaSettings
from kaiwa.transports.webrtc.sound import Sound

log = logging.getLogger("kaiwa.media")

_REPORT_STEPS: Final = 125
"""Packets between two RTCP reports: 2.5 s."""
_CNAME: Final = "kaiwa"
MOVED_S: Final = 2.0
"""When so long nothing came from where the peer was, a good check from elsewhere says that it moved."""


class Connection:
    """Fed by the mux and by orders; reports. `run` is its whole life."""

    def __init__(
        self,
        number: int,
        offer: Offer,
        facts: Facts,
        settings: MediaSettings,
        certificate: RTCCertificate,
        report: Callable[[Report], None],
    ) -> None:
        self.number = number
        self.facts = facts
        self.key = facts.password.encode()
        self._offer = offer
        self._settings = settings
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._socket: socket | None = None
        self._address: Any = None
        self._seen_at = self._there_at = self._loop.time()
        self._reached = asyncio.Event()
        self._over = asyncio.Event()
        self._reason = ""
        self._last_words = False
        self._secured = Secured(certificate, self._put, self.end)
        self._channel = self._channel_wanted()
        self._start_sound()

    def _channel_wanted(self) -> EventChannel | None:
        if self._offer.channel is None:
            return None
        return EventChannel(
            self._secured,
            hear=self._told,
            taken=lambda size: self._report(Taken(call=self.number, size=size)),
            over=self.end,
        )

    def _start_sound(self) -> None:
        sound = Sound(self._offer.codec, self._settings)
        direction = self._offer.lines[self._offer.audio].direction
        self._clock_step = sound.clock_hz // 50
        self._microphone = Microphone(sound.decoder, sound.clock_hz, self._offer.codec.payload_type)
        most = int(self._settings.max_queued_s * 48_000)
        self._loudspeaker = Loudspeaker(sound.encoder, sound.silence, most)
        self._reception = Reception(sound.clock_hz)
        self._is_heard = direction in ("sendrecv", "recvonly")
        self._sequence = self._timestamp = self._packets = self._octets = 0
        self._pace: Pace | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- orders -------------------------------------------------------------------------------

    def play(self, sound: bytes) -> None:
        self._loudspeaker.play(sound)

    def flush(self) -> None:
        self._loudspeaker.clear()

    def tell(self, frame: str) -> None:
        if self._channel is None:
            self._report(Taken(call=self.number, size=len(frame)))
        else:
            self._channel.tell(frame)

    def hang_up(self) -> None:
        self._last_words = True
        self.end("hung up")

    def end(self, reason: str) -> None:
        """Let the call end. Only the first reason counts."""
        self._reason = self._reason or reason
        self._over.set()

    # --- datagrams ----------------------------------------------------------------------------

    def checked(self, through: socket, address: Any, *, nominates: bool) -> None:
        """Note a good connectivity check from this address."""
        now = self._loop.time()
        if nominates or self._socket is None or now - self._there_at > MOVED_S:
            self._socket, self._address = through, address
            self._reached.set()
        self._seen(address, now)

    def _seen(self, address: Any, now: float) -> None:
        self._seen_at = now
        if address == self._address:
            self._there_at = now

    def handshake_arrived(self, datagram: bytes) -> None:
        self._secured.feed(datagram)

    def media_arrived(self, data: bytes, address: Any) -> None:
        now = self._loop.time()
        if is_rtcp(data):
            if (plain := self._secured.opened_report(data)) is not None:
                self._seen(address, now)
                self._reports_arrived(plain, now)
            return
        plain = self._secured.opened(data)
        packet = None if plain is None else read_rtp(plain)
        if packet is not None:
            self._seen(address, now)
            self._reception.arrived(packet, now)
            self._heard(self._microphone.arrived(packet, now))

    def _reports_arrived(self, data: bytes, now: float) -> None:
        reports = read_rtcp(data)
        if reports.sender_ntp is not None:
            self._reception.reported(reports.sender_ntp, now)

    def _told(self, frame: str | bytes) -> None:
        binary = isinstance(frame, bytes)
        body = frame if isinstance(frame, bytes) else frame.encode()
        self._report(Told(call=self.number, frame=body, binary=binary))

    def _heard(self, sound: bytes) -> None:
        if sound:
            self._report(Heard(call=self.number, sound=sound))

    def _put(self, data: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(data, self._address)
        except OSError:
            # A full buffer or a network that is down: lost, as datagrams are. Silence ends the call.
            return

    # --- life ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live from the first check to the end, then report it. The edge of a call: ends only this one."""
        try:
            if await self._connect():
                await self._over.wait()
        except ConnectionError:
            self.end("closed by the peer")
        except Exception:
            log.exception("call failed")
            self.end("failed")
        finally:
            await self._stop()
            self._report(Ended(call=self.number, reason=self._reason or "ended", facts=self._counts()))

    async def _connect(self) -> bool:
        try:
            async with asyncio.timeout(self._settings.connect_s):
                begins = setup_of(self._offer) == "active"
                if not await self._before_the_end(self._reached.wait()):
                    return False
                if not await self._before_the_end(
                    self._secured.start(self._offer.fingerprints, begins=begins)
                ):
                    self.end("handshake failed")
                    return False
        except TimeoutError:
            self.end("never connected")
            return False
        if self._channel is not None:
            await self._channel.start(self._offer)
        self._begin_pacing()
        return True

    async def _before_the_end(self, step: Any) -> bool:
        """Carry out a step of the way up; False when the call ended first or the step failed."""
        async with asyncio.TaskGroup() as group:
            done, over = group.create_task(step), group.create_task(self._over.wait())
            await asyncio.wait([done, over], return_when=asyncio.FIRST_COMPLETED)
            came = done.done() and done.result() is not False
            done.cancel()
            over.cancel()
        return came and not self._over.is_set()

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._channel is not None:
            if self._last_words:
                await self._channel.finish()
            await self._channel.stop()
        await self._secured.stop()

    def _begin_pacing(self) -> None:
        self._pace = Pace(self._loop.time())
        self._seen_at = self._loop.time()
        self._report(Connected(call=self.number))
        self._step()

    def _step(self) -> None:
        """Send the packet of this 20 ms, and see to everything else that time does."""
        pace = self._pace
        assert pace is not None, "steps are taken once pacing began"
        now = self._loop.time()
        try:
            if self._is_heard:
                self._send_packet()
            if now - pace.due < STEP_S:
                # After a stall of our own the packets that seem missing are still unread.
                self._heard(self._microphone.pass_time(now))
            if pace.steps % _REPORT_STEPS == _REPORT_STEPS // 5:
                self._send_report(now)
        except Exception:
            log.exception("call failed")
            self.end("failed")
            return
        pace.step(now)
        if now - self._seen_at > self._settings.silent_s:
            self.end("lost")
        self._timer = self._loop.call_at(pace.due, self._step)

    def _send_packet(self) -> None:
        payload, _ = self._loudspeaker.next_payload()
        kind = self._offer.codec.payload_type
        packet = RtpPacket(kind, self._sequence, self._timestamp, self.facts.ssrc, payload)
        self._put(self._secured.sealed(write_rtp(packet, marker=self._packets == 0)))
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + self._clock_step) & 0xFFFFFFFF
        self._packets += 1
        self._octets += len(payload)

    def _send_report(self, now: float) -> None:
        report = write_report(
            self.facts.ssrc,
            _CNAME,
            ntp_time=ntp(time.time()),
            timestamp=self._timestamp,
            packets=self._packets,
            octets=self._octets,
            heard=self._reception.block(now),
        )
        self._put(self._secured.sealed_report(report))

    def _counts(self) -> dict[str, float]:
        pace, microphone = self._pace, self._microphone
        return {
            "packets": self._packets,
            "late": pace.late if pace else 0,
            "latest_ms": round(pace.latest_s * 1000, 1) if pace else 0.0,
            "recovered": microphone.recovered,
            "concealed": microphone.concealed,
            "broken": microphone.broken,
            "dropped_bytes": self._loudspeaker.dropped_bytes,
            "silent_s": round(self._loop.time() - self._seen_at, 2),
        }
