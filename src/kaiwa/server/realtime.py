"""The Realtime endpoint: an upgraded socket becomes a running conversation, or is refused in band.

One that names a call becomes an observer of that call's conversation.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace

from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.events import server
from kaiwa.policy.holds import Hold
from kaiwa.policy.spending import Spending
from kaiwa.protocol.realtime.dialects import Dialect, codec_for, dialect_of
from kaiwa.protocol.realtime.own_events import wants_own_events, with_own_events
from kaiwa.server.access import subprotocols
from kaiwa.server.admission import Admission, Observing, Refusal
from kaiwa.server.calls_live import LiveCalls
from kaiwa.server.cluster.crossing import Crossing
from kaiwa.server.conversations import Admitted, Answerer, Parts
from kaiwa.server.draining import SHUTTING_DOWN
from kaiwa.server.holding import Holding
from kaiwa.server.ids import new_id, new_token
from kaiwa.server.request_ids import RequestIds, ids_of
from kaiwa.server.resuming import HEADER, KeptSessions, Wish, asked_in_band, not_found, wish_of
from kaiwa.transports.websocket import Codec, WebSocketTransport

log = logging.getLogger("kaiwa.server")


@dataclass
class RealtimeEndpoint:
    """Serves every address at which a Realtime client opens a WebSocket."""

    admission: Admission
    answerer: Answerer
    holding: Holding
    calls: LiveCalls
    kept: KeptSessions
    crossing: Crossing

    async def __call__(self, socket: WebSocket) -> None:
        offered = subprotocols(socket)
        ids = ids_of(socket)
        wish = wish_of(socket.query_params) if self.kept.possible else None
        token = new_token() if wish is not None and not wish.returns else None
        named = ids.headers if token is None else ids.headers | {HEADER: token}
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
        await socket.accept(subprotocol="realtime" if offered else None, headers=headers)
        dialect = dialect_of(socket.url.path, socket.query_params, socket.headers, offered)
        if wish is not None and wish.returns:
            refused = await self._return(socket, wish, dialect)
            if refused is not None:
                ids.log(code=refused.code)
                await _refuse(socket, refused, dialect)
            return
        answer = await self.admission.judge(socket, dialect, self.holding.live)
        if isinstance(answer, Observing):
            answer = await self.calls.observe(answer, socket, dialect)
        if isinstance(answer, Admitted) and self.holding.leaving.asked.is_set():
            answer = SHUTTING_DOWN
        if isinstance(answer, Refusal):
            ids.log(code=answer.code)
            await _refuse(socket, answer, dialect)
        elif answer is not None:
            await self._begin(socket, answer, ids, token)

    async def _begin(self, socket: WebSocket, admitted: Admitted, ids: RequestIds, token: str | None) -> None:
        with ExitStack() as seat:
            seat.enter_context(self.holding.seat())
            hold = await self.admission.enter(admitted.caller)
            if isinstance(hold, Refusal):
                ids.log(code=hold.code)
                await _refuse(socket, hold, admitted.dialect)
                return
            ids.log(session_id=admitted.config.id)
            seat.enter_context(hold)
            if token is None:
                await self._converse(socket, admitted, hold)
            else:
                await self._converse_kept(socket, admitted, hold, token, seat)

    async def _converse(self, socket: WebSocket, admitted: Admitted, hold: Hold) -> None:
        parts = await self.answerer.open(admitted)
        model = admitted.config.model
        counting = self.holding.counting("websocket", model, self._spending(hold, admitted))
        codec = counting.meter.over(_codec(parts, admitted.dialect, socket))
        await self.holding.hold(
            parts, WebSocketTransport(socket, codec, parts.ready), admitted.config.id, counting
        )

    async def _converse_kept(
        self, socket: WebSocket, admitted: Admitted, hold: Hold, token: str, seat: ExitStack
    ) -> None:
        """Begin a session that outlives this socket, and serve the socket."""
        parts = await self.answerer.open(replace(admitted, may_call=True))
        model = admitted.config.model
        counting = self.holding.counting("websocket", model, self._spending(hold, admitted))
        kept = self.kept.keep(token, parts, admitted.caller, admitted.config.id, counting.meter.note)
        self.kept.hold(kept, counting, seat.pop_all())
        codec = _codec(parts, admitted.dialect, socket)
        await kept.transport.serve(WebSocketTransport(socket, codec, parts.ready))

    def _spending(self, hold: Hold, admitted: Admitted) -> Spending:
        return self.admission.doors.charge(hold, admitted.config.model, admitted.caller)

    async def _return(self, socket: WebSocket, wish: Wish, dialect: Dialect) -> Refusal | None:
        """Serve a socket whose peer comes back to its session; else say why it may not."""
        visitor = await self.admission.visitor(socket)
        if isinstance(visitor, Refusal):
            return visitor
        asked = await asked_in_band(socket) if wish.in_band else wish
        if isinstance(asked, Refusal):
            return asked
        token = asked.token or ""
        if asked.said is not None and await self.crossing.serves(socket, token, first=asked.said):
            return None
        kept = self.kept.find(token, visitor.caller)
        if kept is None:
            return not_found(token)
        peer = WebSocketTransport(socket, _codec(kept.parts, dialect, socket), kept.parts.ready)
        log.info("session resumed", extra={"session_id": kept.session_id, "door": "websocket"})
        await kept.transport.serve(peer, last_event_id=asked.last_event_id)
        return None


def _codec(parts: Parts, dialect: Dialect, socket: WebSocket) -> Codec:
    return with_own_events(parts.codec_for(dialect), wants_own_events(socket.query_params))


async def _refuse(socket: WebSocket, refusal: Refusal, dialect: Dialect) -> None:
    detail = server.ErrorDetail(
        type=refusal.type, code=refusal.code, message=refusal.message, param=None, event_id=None
    )
    event = server.Failed(event_id=new_id("event"), error=detail)
    try:
        await socket.send_text(codec_for(dialect).encode_server(event))
        await socket.close(refusal.close_code, f"{refusal.type}.{refusal.code}")
    except (WebSocketDisconnect, RuntimeError):
        log.info("refused peer was gone already")
