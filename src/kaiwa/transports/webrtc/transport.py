"""A call as the runner sees it: `kaiwa.interfaces.Transport` over a media house, near or in another process.

Knows events and house audio. Sound goes to the microphone's and the loudspeaker's side, everything else
through the data channel, in order. The peer's formats are followed: a session set to G.711 hears and says
G.711 here too, whatever the track carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from kaiwa.audio.formats import Converter, decoder_for, encoder_for
from kaiwa.events import server
from kaiwa.events.client import AudioAppended, ClientEvent, FrameRejected
from kaiwa.events.config import PcmFormat, SessionConfig
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import ServerEvent
from kaiwa.protocol.realtime.dialects import codec_for
from kaiwa.transports.webrtc.offer import Offer
from kaiwa.transports.webrtc.orders import Flush, HangUp, Heard, Order, Play, Tell, Told
from kaiwa.transports.websocket import Codec

HELD_SOUNDS: Final = 500
"""Ten seconds: what is heard on top of it, while the conversation stands still, is lost."""
HELD_FRAMES: Final = 4096
"""A peer with more frames unread is hung up on."""
UNTAKEN: Final = 1024 * 1024
"""So many characters may be on their way to the peer before `send` waits."""


class CallTransport:
    """`codec` reads and writes the data channel's frames; it may be changed until `receive` begins."""

    def __init__(
        self, number: int, offer: Offer, order: Callable[[Order], None], room: Callable[[], Awaitable[None]]
    ) -> None:
        self.codec: Codec = codec_for("ga")
        self._number = number
        self._offer = offer
        self._order = order
        self._room = room
        self._inbox: asyncio.Queue[Heard | Told | None] = asyncio.Queue()
        self._sounds = 0
        self._untaken = 0
        self._taken = asyncio.Event()
        self._gone = False
        self.left = False
        """The peer hung up, so it will not come back."""
        self.silent_s = 0.0
        """How long nothing came of the peer before its call was given up."""
        self._said_as: Converter | None = None
        self._heard_as: dict[str, Converter] = {}

    # --- what media reports -------------------------------------------------------------------

    def arrived(self, report: Heard | Told) -> None:
        """Keep what the peer said until it is received."""
        if isinstance(report, Heard):
            if self._sounds >= HELD_SOUNDS:
                return
            self._sounds += 1
        elif self._inbox.qsize() - self._sounds >= HELD_FRAMES:
            self._order(HangUp(call=self._number))
            return
        self._inbox.put_nowait(report)

    def took(self, size: int) -> None:
        self._untaken -= size
        self._taken.set()

    def ended(self, *, left: bool = False, silent_s: float = 0.0) -> None:
        """The peer is gone: what it said before is still received. `left`: it said so."""
        self._gone, self.left, self.silent_s = True, left, silent_s
        self._taken.set()
        self._inbox.put_nowait(None)

    # --- kaiwa.interfaces.Transport -----------------------------------------------------------

    async def receive(self) -> AsyncIterator[ClientEvent]:
        while (said := await self._inbox.get()) is not None:
            if isinstance(said, Told):
                yield _without_sound(self.codec.decode_client(said.frame, said.binary))
                continue
            self._sounds -= 1
            sound = said.sound if self._said_as is None else self._said_as.push(said.sound)
            if sound:
                yield AudioAppended(audio=sound)

    async def send(self, event: ServerEvent) -> None:
        self._check()
        if type(event) is server.AudioDelta:
            await self._room()
            self._order(Play(call=self._number, sound=self._as_house(event)))
            return
        if _clears(event):
            self._order(Flush(call=self._number))
        self._follow(event)
        frame = self.codec.encode_server(event)
        if not frame or self._offer.channel is None:
            return
        if not self._fits(frame):
            frame = self.codec.encode_server(_too_large(event))
        await self._credit()
        self._untaken += len(frame)
        self._order(Tell(call=self._number, frame=frame))

    async def close(self, code: int, reason: str) -> None:
        """Hang up. The code and the reason have no place in a call."""
        self._order(HangUp(call=self._number))

    def _check(self) -> None:
        if self._gone:
            raise ConnectionError("the peer is gone")

    async def _credit(self) -> None:
        await self._room()
        while self._untaken > UNTAKEN and not self._gone:
            self._taken.clear()
            await self._taken.wait()
        self._check()

    def _fits(self, frame: str) -> bool:
        limit = self._offer.max_message_bytes
        return not limit or len(frame) * 4 <= limit or len(frame.encode()) <= limit

    # --- formats ------------------------------------------------------------------------------

    def _follow(self, event: ServerEvent) -> None:
        match event:
            case server.SessionCreated() | server.SessionUpdated():
                self._follow_input(event.session)
            case server.ResponseCreated() if event.response.audio:
                format = event.response.audio.output.format
                if not isinstance(format, PcmFormat):
                    self._heard_as[event.response.id] = decoder_for(format)
            case server.ResponseDone():
                self._heard_as.pop(event.response.id, None)
            case _:
                pass

    def _follow_input(self, session: SessionConfig) -> None:
        format = session.audio.input.format
        self._said_as = None if isinstance(format, PcmFormat) else encoder_for(format)

    def _as_house(self, event: server.AudioDelta) -> bytes:
        converter = self._heard_as.get(event.response_id)
        return event.delta if converter is None else converter.push(event.delta)


def _clears(event: ServerEvent) -> bool:
    if isinstance(event, PassedFrame):
        return event.type == "output_audio_buffer.cleared"
    return type(event) is server.OutputAudioCleared


def _without_sound(event: ClientEvent) -> ClientEvent:
    """Return the event, or a refusal of sound that came beside the track: two microphones make no turn."""
    if not isinstance(event, AudioAppended):
        return event
    return FrameRejected(
        code="invalid_request_error",
        message="The audio of a call comes over its audio track, not over the data channel.",
        param="type",
        rejected_event_id=event.event_id,
    )


def _too_large(event: ServerEvent) -> server.Failed:
    """Return what a peer is told in place of an event that its data channel cannot take."""
    kind = event.type if isinstance(event, PassedFrame) else type(event).__struct_config__.tag
    return server.Failed(
        event_id=event.event_id or "event",
        error=server.ErrorDetail(
            type="server_error",
            code="event_too_large",
            message=f"An event '{kind}' is larger than the max-message-size of the offer.",
            param=None,
            event_id=None,
        ),
    )
