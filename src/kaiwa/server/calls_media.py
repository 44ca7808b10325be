"""The two ways a call's sound may take: through kaiwa, or past it between browser and service.

Either gives the same: an answer for the browser, and the parts of the conversation that is held over it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.events import server
from kaiwa.interfaces import Transport
from kaiwa.protocol.realtime.calls import FILTERED, CallCodec
from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.protocol.realtime.own_events import with_own_events
from kaiwa.server.conversations import Admitted, Answerer, Parts
from kaiwa.server.ids import new_id
from kaiwa.server.relay import RelayAnswerer
from kaiwa.server.settings import Settings
from kaiwa.transports.websocket import Codec

log = logging.getLogger("kaiwa.server")


async def _at_once() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """`transport` None: the browser talks to the service itself, and `greeting` tells of its session.

    `connected` waits until sound goes both ways; False: the call is over. `attached` waits until this house
    hears what is said in the call; False: it never will.
    """

    id: str
    answer_sdp: str
    parts: Parts
    hang_up: Callable[[], Awaitable[None]]
    transport: Transport | None = None
    greeting: server.ServerEvent | None = None
    connected: Callable[[], Awaitable[bool]] = _at_once
    attached: Callable[[], Awaitable[bool]] = _at_once


@dataclass(frozen=True, slots=True)
class Held:
    """A conversation under way, and how who comes back to it wants to read its frames."""

    parts: Parts
    dialect: Dialect
    own_events: bool
    filtered: bool


class CallWay(Protocol):
    """One way to take calls, for the whole process."""

    async def place(self, admitted: Admitted, offer_sdp: str, *, filtered: bool) -> PlacedCall:
        """Answer an offer.

        Raises PeerError for an offer that cannot be answered, UpstreamError when no call can be taken.
        """
        ...

    async def take_up(self, held: Held, offer_sdp: str) -> PlacedCall | None:
        """Answer an offer for a conversation under way; None: this way cannot. Raises as `place`."""
        ...

    async def close(self) -> None: ...


class ChannelTransport(Transport, Protocol):
    """A call's transport; its codec may be chosen before it is used."""

    codec: Codec


class AnsweredCall(Protocol):
    """An answered call of the media room."""

    answer_sdp: str

    @property
    def transport(self) -> ChannelTransport: ...

    async def connected(self) -> bool: ...

    async def hang_up(self) -> None: ...


class Media(Protocol):
    """What carries sound: `kaiwa.transports.webrtc.MediaService` fits."""

    async def answer(self, offer_sdp: str) -> AnsweredCall: ...

    async def close(self) -> None: ...


class ThroughKaiwa:
    """The sound comes to kaiwa; who answers hears and speaks it. Media starts with the first call."""

    def __init__(self, answerer: Answerer, start: Callable[[], Awaitable[Media]]) -> None:
        self._answerer = answerer
        self._start = start
        self._media: Media | None = None
        self._starting = asyncio.Lock()

    async def place(self, admitted: Admitted, offer_sdp: str, *, filtered: bool) -> PlacedCall:
        media = await self._running()
        call = await media.answer(offer_sdp)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(call.hang_up)
            parts = await self._answerer.open(admitted)
            stack.pop_all()
        return _placed(call, Held(parts, admitted.dialect, admitted.own_events, filtered))

    async def take_up(self, held: Held, offer_sdp: str) -> PlacedCall | None:
        media = await self._running()
        return _placed(await media.answer(offer_sdp), held)

    async def close(self) -> None:
        if self._media is not None:
            await self._media.close()

    async def _running(self) -> Media:
        async with self._starting:
            if self._media is None:
                try:
                    self._media = await self._start()
                except ImportError:
                    text = "This server takes no calls. Its operator has to install kaiwa[webrtc]."
                    raise UpstreamError("webrtc_unavailable", text) from None
                except ConfigError as wrong:
                    log.error("no call can be taken", extra={"cause": str(wrong)})
                    text = f"This server takes no calls. Its operator has to mend {wrong.setting}."
                    raise UpstreamError("webrtc_unavailable", text) from wrong
                except TimeoutError:
                    log.error("the process for the sound of calls did not start in time")
                    raise UpstreamError(
                        "webrtc_unavailable", "Calls cannot be taken yet. Ask again."
                    ) from None
            return self._media


class PastKaiwa:
    """The browser's sound goes to the service; kaiwa attaches to the call beside it and acts there."""

    def __init__(self, relay: RelayAnswerer) -> None:
        self._relay = relay

    async def place(self, admitted: Admitted, offer_sdp: str, *, filtered: bool) -> PlacedCall:
        placed, parts, hang_up, attached = await self._relay.place_call(
            admitted, offer_sdp, filtered=filtered
        )
        greeting = server.SessionCreated(event_id=new_id("event"), session=admitted.config)
        return PlacedCall(
            placed.call_id, placed.answer_sdp, parts, hang_up, greeting=greeting, attached=attached
        )

    async def take_up(self, held: Held, offer_sdp: str) -> PlacedCall | None:
        return None

    async def close(self) -> None:
        """The relay's connections are closed with it."""


def _placed(call: AnsweredCall, held: Held) -> PlacedCall:
    codec = with_own_events(held.parts.codec_for(held.dialect), held.own_events)
    call.transport.codec = CallCodec(codec, only=FILTERED if held.filtered else None)
    return PlacedCall(
        new_id("rtc"), call.answer_sdp, held.parts, call.hang_up, call.transport, connected=call.connected
    )


def check_way(settings: Settings, relay: object) -> None:
    """Raise ConfigError when calls are to go past kaiwa and cannot, or would break a promise there."""
    if settings.rtc_media == "kaiwa":
        return
    if not isinstance(relay, RelayAnswerer):
        raise ConfigError(
            "KAIWA_RTC_MEDIA",
            "is direct, and no service is named that calls could go to.",
            "Set AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_REALTIME_DEPLOYMENT, or leave it out.",
        )
    if settings.pinned:
        raise ConfigError(
            "KAIWA_PINNED",
            "cannot be kept in calls that go past kaiwa: a browser tells the service itself.",
            "Leave it out, or set KAIWA_RTC_MEDIA=kaiwa.",
        )


def way_of(settings: Settings, answerer: Answerer, start: Callable[[], Awaitable[Media]] | None) -> CallWay:
    """Return the way that the settings ask for; `start` None: sound is carried by WebRTC of this house."""
    if settings.rtc_media == "direct" and isinstance(answerer, RelayAnswerer):
        return PastKaiwa(answerer)
    return ThroughKaiwa(answerer, start or (lambda: _webrtc(settings)))


async def _webrtc(settings: Settings) -> Media:
    from kaiwa.server.media import media_settings
    from kaiwa.transports.webrtc import MediaService

    return await MediaService.start(media_settings(settings))
