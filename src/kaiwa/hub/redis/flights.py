"""Messages on their way to Redis, and how the hub here gets its own: once, and in Redis' order.

What Redis answers to a PUBLISH stands among the messages of others where the message itself stands, so the
hub delivers its own at the answer, from the value that it encoded. Its echo, which comes right before the
answer (Redis 6) or right after it (7 and later), is known by its bytes; of two equal ones it does not matter
which is whose. Knows nothing of how answers come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from kaiwa.hub.redis.link import Awaited
from kaiwa.hub.redis.resp import Refused
from kaiwa.hub.registry import Audience
from kaiwa.protocol.signalr.encoding import Outgoing

Deliver = Callable[[Audience, Outgoing], None]


class Flight(Awaited):
    """`echoes`: the hub here listens to this channel, so it delivers the message itself, and Redis sends it
    too.
    """

    __slots__ = ("_flights", "_waiting", "audience", "channel", "echoes", "message", "over", "payload")

    def __init__(
        self, flights: Flights, audience: Audience, message: Outgoing, sent: tuple[bytes, bytes], echoes: bool
    ) -> None:
        super().__init__()
        self._flights = flights
        self.audience = audience
        self.message = message
        self.channel, self.payload = sent
        self.echoes = echoes
        self.over = False
        self._waiting: asyncio.Future[None] | None = None

    def told(self, reply: Any) -> None:
        self._flights.answered(self, not isinstance(reply, Refused))
        self._settle()

    def lost(self) -> None:
        self._flights.answered(self, False)
        self._settle()

    def _settle(self) -> None:
        self.over = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait until Redis has it and it was delivered here, or until it is lost for the others."""
        if self.over:
            return
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        yield from asyncio.shield(self._waiting).__await__()


class Flights:
    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._echo: Flight | None = None
        """Of the answer just read, when it comes after it."""
        self.waiting_bytes = 0
        self.lost = 0
        """Messages that others may not have got."""

    def leave(
        self, audience: Audience, message: Outgoing, channel: bytes, payload: bytes, echoes: bool
    ) -> Flight:
        self.waiting_bytes += len(payload)
        return Flight(self, audience, message, (channel, payload), echoes)

    def is_echo(self, channel: bytes, payload: bytes, oldest: Awaited | None) -> bool:
        """Say whether a message that comes was delivered already; deliver it when it is the echo of `oldest`.

        `oldest` is what Redis answers next.
        """
        echo, self._echo = self._echo, None
        if echo is not None and echo.payload == payload and echo.channel == channel:
            return True
        if not isinstance(oldest, Flight) or not oldest.echoes:
            return False
        if oldest.payload != payload or oldest.channel != channel:
            return False
        oldest.echoes = False
        self._deliver(oldest.audience, oldest.message)
        return True

    def answered(self, flight: Flight, accepted: bool) -> None:
        """Deliver here what has not been: with the others when Redis took it, else alone."""
        self.waiting_bytes -= len(flight.payload)
        self._echo = flight if flight.echoes and accepted else None
        self.lost += not accepted
        if flight.echoes:
            self._deliver(flight.audience, flight.message)
