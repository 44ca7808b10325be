# pyright: reportPrivateUsage=false
"""The data channel of one call: frames of text in order, both ways. Knows aiortc's SCTP; knows no events.

The first channel a peer opens is the one, whatever its label. What is told before it opens waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from aiortc import RTCDataChannel, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import DataChunk, SackChunk

from kaiwa.transports.webrtc.answer import MAX_MESSAGE_BYTES
from kaiwa.transports.webrtc.offer import Offer
from kaiwa.transports.webrtc.secured import Secured

BUFFERED_BYTES: Final = 128 * 1024
"""What aiortc may hold; the rest waits here."""
UNOPENED_BYTES: Final = 512 * 1024
"""What waits for a channel that is not open. More is dropped: a peer without a channel is no reader."""
_FIRST_RTO_S: Final = 0.6
_LEAST_RTO_S: Final = 0.4
"""aiortc begins with 3 s and never goes below 1 s: a lost last frame would come that late. Browsers
acknowledge within 200 ms, so less would send much twice."""
_LAST_WORDS_S: Final = 1.0


class _Association(RTCSctpTransport):
    """aiortc's, with timers for a conversation and a bound on what a peer may leave unfinished."""

    def __init__(self, secured: Secured, progress: Callable[[], None], flooded: Callable[[], None]) -> None:
        super().__init__(secured.dtls)
        self._rto = _FIRST_RTO_S
        self._advertised_rwnd = 2 * MAX_MESSAGE_BYTES
        self._progress = progress
        self._flooded = flooded

    def _update_rto(self, R: float) -> None:
        super()._update_rto(R)
        assert self._srtt is not None and self._rttvar is not None, "both were just set"
        self._rto = max(_LEAST_RTO_S, self._srtt + 4 * self._rttvar)

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        await super()._receive_sack_chunk(chunk)
        self._progress()

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        await super()._receive_data_chunk(chunk)
        if self._advertised_rwnd < 0:
            self._flooded()

    @property
    def idle(self) -> bool:
        """All that was sent has been acknowledged."""
        return not (self._data_channel_queue or self._outbound_queue or self._sent_queue)


class EventChannel:
    """`hear` gets frames, `taken` the size of each frame that went out, `over` why it ended."""

    def __init__(
        self,
        secured: Secured,
        *,
        hear: Callable[[str | bytes], None],
        taken: Callable[[int], None],
        over: Callable[[str], None],
    ) -> None:
        self._hear = hear
        self._taken = taken
        self._over = over
        self._association = _Association(secured, self._progressed, lambda: over("flooded"))
        self._association.on("datachannel", self._opened)
        self._channel: RTCDataChannel | None = None
        self._waiting: deque[str] = deque()
        self._waiting_size = 0
        self._all_sent = asyncio.Event()
        self.dropped = 0

    async def start(self, offer: Offer) -> None:
        limit = RTCSctpCapabilities(maxMessageSize=offer.max_message_bytes)
        await self._association.start(limit, offer.sctp_port)

    def tell(self, frame: str) -> None:
        """Send a frame when it is its turn."""
        if self._channel is None and self._waiting_size + len(frame) > UNOPENED_BYTES:
            self.dropped += 1
            self._taken(len(frame))
            return
        self._waiting.append(frame)
        self._waiting_size += len(frame)
        self._pump()

    async def finish(self) -> None:
        """Wait until the peer has everything that was told, but not for long."""
        if self._channel is None or self._channel.readyState != "open":
            return
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                while self._waiting or not self._association.idle:
                    self._all_sent.clear()
                    await self._all_sent.wait()
        except TimeoutError:
            return

    async def stop(self) -> None:
        self._over = _nobody
        await self._association.stop()
        self._association.remove_all_listeners()

    def _opened(self, channel: RTCDataChannel) -> None:
        if self._channel is not None:
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = BUFFERED_BYTES // 2
        on: Any = channel.on
        on("message", self._hear)
        on("close", lambda: self._over("channel closed"))
        on("bufferedamountlow", self._pump)
        self._pump()

    def _pump(self) -> None:
        channel = self._channel
        while (
            self._waiting
            and channel is not None
            and channel.readyState == "open"
            and channel.bufferedAmount < BUFFERED_BYTES
        ):
            frame = self._waiting.popleft()
            self._waiting_size -= len(frame)
            channel.send(frame)
            self._taken(len(frame))

    def _progressed(self) -> None:
        self._pump()
        if not self._waiting and self._association.idle:
            self._all_sent.set()


def _nobody(reason: str) -> None:
    """Nobody wants to know any more."""
