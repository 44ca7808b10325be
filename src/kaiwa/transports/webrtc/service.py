"""The media service of a server: answers offers, and keeps the processes that carry the calls.

Knows processes and who carries which call; opens no UDP socket itself. A media process that dies takes its
calls with it, cleanly; the next offer starts it again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Self

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.transports.webrtc.carriers import Carrier, InThisLoop, OwnProcess
from kaiwa.transports.webrtc.offer import Offer, read_offer
from kaiwa.transports.webrtc.orders import (
    Answered,
    Busy,
    Connected,
    Ended,
    HangUp,
    Heard,
    Open,
    Report,
    Taken,
    Told,
)
from kaiwa.transports.webrtc.settings import MediaSettings
from kaiwa.transports.webrtc.transport import CallTransport

log = logging.getLogger("kaiwa.media")

_ANSWER_S = 10.0
_LOST = "lost"
_GOODBYES = ("closed by the peer", "hung up", "closed")


class Call:
    """One answered call. `ended` is set when it is over, for `reason`."""

    def __init__(self, number: int, offer: Offer, carrier: Carrier) -> None:
        self.transport = CallTransport(number, offer, carrier.order, carrier.room)
        self.answer_sdp = ""
        self.reason = ""
        self.facts: dict[str, float] = {}
        self.ended = asyncio.Event()
        self._connected = asyncio.Event()
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number = number
        self._carrier = carrier

    async def hang_up(self) -> None:
        """End the call and wait until it is over. Idempotent."""
        self._carrier.order(HangUp(call=self._number))
        await self.ended.wait()

    async def connected(self) -> bool:
        """Wait until sound goes both ways. False: the call is over instead."""
        await self._connected.wait()
        return not self.ended.is_set()

    def reported(self, report: Report) -> None:
        match report:
            case Heard() | Told():
                self.transport.arrived(report)
            case Taken():
                self.transport.took(report.size)
            case Answered():
                self.answer_sdp = report.sdp
                self._settle(None)
            case Connected():
                self._connected.set()
            case Busy():
                self.reason = "busy"
                self._settle(UpstreamError("media_busy", "All calls are in use.", retryable=True))
                self.ended.set()
            case Ended():
                self.over(report.reason, report.facts)
            case _:
                pass

    def over(self, reason: str, facts: dict[str, float] | None = None) -> None:
        self.reason = self.reason or reason
        self.facts = facts or {}
        silent_s = self.facts.get("silent_s", 0.0) if self.reason == _LOST else 0.0
        self.transport.ended(left=self.reason in _GOODBYES, silent_s=silent_s)
        self.ended.set()
        self._connected.set()
        self._settle(UpstreamError("media_failed", "The media process ended.", retryable=True))

    def _settle(self, error: UpstreamError | None) -> None:
        if self.answered.done():
            return
        if error is None:
            self.answered.set_result(None)
        else:
            self.answered.set_exception(error)


class MediaService:
    """`await MediaService.start(settings)`; `await close()`."""

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self._calls: dict[int, tuple[Call, Carrier]] = {}
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()
        self._carriers = [self._carrier(port) for port in settings.ports]

    @classmethod
    async def start(cls, settings: MediaSettings) -> Self:
        """Return a service that listens. Raises ConfigError when it cannot."""
        service = cls(settings)
        try:
            for carrier in service._carriers:
                await carrier.start()
        except ConfigError:
            await service.close()
            raise
        return service

    @property
    def live(self) -> int:
        """How many calls there are."""
        return len(self._calls)

    @property
    def process_ids(self) -> Sequence[int]:
        """The media processes that run now."""
        return [carrier.process_id for carrier in self._carriers if carrier.process_id]

    async def answer(self, offer_sdp: str) -> Call:
        """Answer an offer.

        Raises PeerError for an offer that cannot be answered, UpstreamError when no call can be taken now.
        """
        offer = read_offer(offer_sdp)
        carrier = min(self._carriers, key=self._load)
        await self._running(carrier)
        number = next(self._numbers)
        call = Call(number, offer, carrier)
        self._calls[number] = call, carrier
        carrier.order(Open(call=number, offer=offer))
        try:
            async with asyncio.timeout(_ANSWER_S):
                await call.answered
        except (TimeoutError, asyncio.CancelledError, UpstreamError) as error:
            self._calls.pop(number, None)
            carrier.order(HangUp(call=number))
            if isinstance(error, TimeoutError):
                raise UpstreamError("media_failed", "The media process does not answer.") from None
            raise
        return call

    async def close(self) -> None:
        """Hang up on everyone and end the processes."""
        calls = [call for call, _ in self._calls.values()]
        for carrier in self._carriers:
            await carrier.close()
        for call in calls:
            call.over("closed")
        self._calls.clear()

    async def _running(self, carrier: Carrier) -> None:
        async with self._starting:
            if carrier.runs:
                return
            try:
                await carrier.start()
            except (ConfigError, OSError) as error:
                log.exception("media cannot be started")
                raise UpstreamError("media_failed", "No call can be taken now.", retryable=True) from error

    def _load(self, carrier: Carrier) -> int:
        return sum(carried_by is carrier for _, carried_by in self._calls.values())

    def _carrier(self, port: int) -> Carrier:
        kind = OwnProcess if self._settings.own_process else InThisLoop
        return kind(self._settings, port, self._reported, self._lost)

    def _reported(self, report: Report) -> None:
        number = getattr(report, "call", None)
        if number not in self._calls:
            return
        self._calls[number][0].reported(report)
        if isinstance(report, Ended | Busy):
            self._calls.pop(number, None)

    def _lost(self, carrier: Carrier) -> None:
        """A media process is gone, and every call it carried."""
        gone = [number for number, (_, by) in self._calls.items() if by is carrier]
        log.warning("media process ended", extra={"calls": len(gone)})
        for number in gone:
            call, _ = self._calls.pop(number)
            call.over("media process ended")
