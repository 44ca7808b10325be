"""The calls that are live: found by their id, observed by others, hung up on. Knows no HTTP and no SDP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.websockets import WebSocket

from kaiwa.errors import UpstreamError
from kaiwa.events.server import ServerEvent
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold
from kaiwa.policy.spending import Spending
from kaiwa.protocol.realtime.calls import CallCodec
from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.protocol.realtime.own_events import wants_own_events, with_own_events
from kaiwa.server.admission import Observing, Refusal, no_call
from kaiwa.server.calls_media import CallWay, Held, PlacedCall
from kaiwa.server.calls_offer import PostedOffer
from kaiwa.server.cluster.crossing import CALL
from kaiwa.server.cluster.directory import Directory, is_from_here
from kaiwa.server.conversations import Admitted
from kaiwa.server.ephemeral import Minted
from kaiwa.server.holding import Counting, Holding
from kaiwa.server.ids import new_id
from kaiwa.server.resuming import NO_CALL, Kept, KeptSessions, not_found
from kaiwa.transports.shared import SharedTransport
from kaiwa.transports.websocket import WebSocketTransport

log = logging.getLogger("kaiwa.server")

_PARTING_S: Final = 5.0
_ATTACHED_S: Final = 3.0
"""So long an answer waits until the call is heard: a service may hear nobody before its browser is there."""
_TOO_MANY: Final = Refusal(
    "server_busy", "As many observers as may be are attached to this call.", 1013, "server_error"
)


@dataclass(frozen=True)
class Seat:
    """A call's part of its caller's limits, and what counts its responses there."""

    hold: Hold
    charge: Spending


@dataclass(frozen=True)
class LiveCall:
    """`minted`: the ephemeral key that began it, which may observe it too."""

    placed: PlacedCall
    shared: SharedTransport
    minted: Minted | None
    kept: Kept | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class LiveCalls:
    """Begins calls by one way, and holds their conversations until they end."""

    def __init__(
        self, way: CallWay, holding: Holding, kept: KeptSessions, directory: Directory | None = None
    ) -> None:
        """`directory`: where other processes find calls whose ids do not say who holds them."""
        self._directory = directory
        self._way = way
        self._holding = holding
        self._kept = kept
        self._calls: dict[str, LiveCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(
        self,
        admitted: Admitted,
        offer_sdp: str,
        *,
        filtered: bool,
        minted: Minted | None,
        seat: Seat,
        token: str | None = None,
    ) -> PlacedCall:
        """Answer an offer and hold the conversation from now on. Raises what the way raises.

        Who reads the answer may speak at once, so it is given when what is said can be heard here. `token`:
        whoever has it may come back to the session when the call is lost.
        """
        with ExitStack() as stack:
            stack.enter_context(seat.hold)
            stack.enter_context(self._holding.seat())
            placed = await self._way.place(admitted, offer_sdp, filtered=filtered)
            counting = self._holding.counting("webrtc", admitted.config.model, seat.charge)
            kept, note = None, counting.meter.note
            if token is not None and placed.transport is not None:
                kept = self._kept.keep(token, placed.parts, admitted.caller, admitted.config.id, note)
                kept.call_id = placed.id
                self._run(self._carry(kept, placed))
            shared = kept.shared if kept is not None else _shared(placed, note)
            call = LiveCall(placed, shared, minted, kept)
            self._calls[placed.id] = call
            if self._directory is not None and not is_from_here(placed.id):
                await self._directory.claim(CALL, placed.id)
            self._run(self._hold(call, admitted, counting, stack.pop_all()))
        await _attached(placed)
        return placed

    async def come_back(
        self, token: str, caller: Caller, offer: PostedOffer, last_event_id: str | None
    ) -> PlacedCall | Refusal:
        """Answer an offer whose caller comes back to its session; else say why not. Raises as `begin`."""
        kept = self._kept.find(token, caller)
        if kept is None:
            return not_found(token)
        if not kept.transport.may_be_a_call:
            return NO_CALL
        held = Held(kept.parts, offer.dialect, offer.own_events, offer.filtered)
        placed = await self._way.take_up(held, offer.sdp)
        if placed is None:
            return NO_CALL
        if not kept.call_id:
            kept.call_id = placed.id
            call = self._calls[placed.id] = LiveCall(placed, kept.shared, None, kept)
            self._run(self._until_over(call, kept))
        log.info("session resumed", extra={"session_id": kept.session_id, "door": "webrtc"})
        self._run(self._return(kept, placed, last_event_id))
        return replace(placed, id=kept.call_id)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this in a task of the house's: the request that wished for it is answered long since."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _return(self, kept: Kept, placed: PlacedCall, last_event_id: str | None) -> None:
        """Let a call take a session over once sound goes both ways: until then nothing is lost of it."""
        try:
            connected = await placed.connected()
        except asyncio.CancelledError:
            await _parted(placed)
            raise
        if connected:
            await self._carry(kept, placed, last_event_id)

    async def _carry(self, kept: Kept, placed: PlacedCall, last_event_id: str | None = None) -> None:
        """Let a call carry a session until either is over or another connection takes its place."""
        assert placed.transport is not None, "only calls through here carry sessions"
        try:
            await kept.transport.serve(placed.transport, last_event_id=last_event_id, paced=True)
        finally:
            await _parted(placed)

    async def _until_over(self, call: LiveCall, kept: Kept) -> None:
        """Let a session be found as a call that began as none."""
        try:
            await kept.over.wait()
        finally:
            self._calls.pop(kept.call_id, None)
            await _parted(call.placed)
            call.over.set()

    async def hang_up(self, call_id: str) -> bool:
        """End a call and wait until it is over. False: there is none."""
        call = self._calls.get(call_id)
        if call is None:
            return False
        call.shared.hang_up()
        try:
            async with asyncio.timeout(_PARTING_S):
                await call.over.wait()
        except TimeoutError:
            log.warning("a call takes its time to end")
        return True

    def knows(self, call_id: str) -> bool:
        return call_id in self._calls

    async def observe(self, wish: Observing, socket: WebSocket, dialect: Dialect) -> Refusal | None:
        """Serve an accepted socket as an observer of the call until either ends; else say why not."""
        call = self._calls.get(wish.call_id)
        if call is None or (wish.minted is not None and wish.minted is not call.minted):
            return no_call(wish.call_id)
        if call.shared.full:
            return _TOO_MANY
        parts = call.placed.parts
        wanted = wants_own_events(socket.query_params)
        codec = CallCodec(with_own_events(parts.codec_for(dialect), wanted))
        await call.shared.join(WebSocketTransport(socket, codec, parts.ready))
        return None

    async def close(self) -> None:
        """Hang up on everyone."""
        for call in self._calls.values():
            call.shared.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PARTING_S)
        for task in self._tasks:
            task.cancel()
        await self._way.close()

    async def _hold(self, call: LiveCall, admitted: Admitted, counting: Counting, seat: ExitStack) -> None:
        with seat:
            try:
                await self._holding.hold(call.placed.parts, call.shared, admitted.config.id, counting)
            finally:
                if call.kept is not None:
                    self._kept.forget(call.kept)
                self._calls.pop(call.placed.id, None)
                if self._directory is not None and not is_from_here(call.placed.id):
                    await self._directory.release(CALL, call.placed.id)
                call.shared.dismiss(reason="The call ended.")
                try:
                    await _parted(call.placed)
                finally:
                    call.over.set()


def _shared(placed: PlacedCall, note: Callable[[ServerEvent], None]) -> SharedTransport:
    """Return the way out of a call that nobody can come back to."""
    return SharedTransport(
        placed.transport, ids=new_id, greeting=placed.greeting, note=note, ready=placed.parts.ready
    )


async def _attached(placed: PlacedCall) -> None:
    """Wait until the call is heard. Raises UpstreamError when it never will be; then it is being ended."""
    try:
        async with asyncio.timeout(_ATTACHED_S):
            if await placed.attached():
                return
    except TimeoutError:
        log.warning("a call is answered before it is heard", extra={"call_id": placed.id})
        return
    raise UpstreamError("upstream_unavailable", "The service lets nobody join the call it took. Ask again.")


async def _parted(placed: PlacedCall) -> None:
    try:
        async with asyncio.timeout(_PARTING_S):
            await placed.hang_up()
    except TimeoutError:
        log.warning("media did not end a call in time")
