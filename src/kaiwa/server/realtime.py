"""The Realtime endpoint: an upgraded socket becomes a running conversation, or is refused in band.

One that names a call becomes an observer of that call's conversation.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.events import server
from kaiwa.policy.holds import Hold
from kaiwa.protocol.realtime.dialects import Dialect, codec_for, dialect_of
from kaiwa.protocol.realtime.own_events import wants_own_events, with_own_events
from kaiwa.server.access import subprotocols
from kaiwa.server.admission import Admission, Observing, Refusal
from kaiwa.server.calls_live import LiveCalls
from kaiwa.server.conversations import Admitted, Answerer
from kaiwa.server.holding import Holding
from kaiwa.server.ids import new_id
from kaiwa.server.request_ids import RequestIds, ids_of
from kaiwa.transports.websocket import WebSocketTransport

log = logging.getLogger("kaiwa.server")


@dataclass
class RealtimeEndpoint:
    """Serves every address at which a Realtime client opens a WebSocket."""

    admission: Admission
    answerer: Answerer
    holding: Holding
    calls: LiveCalls

    async def __call__(self, socket: WebSocket) -> None:
        offered = subprotocols(socket)
        ids = ids_of(socket)
        headers = [(name.encode(), value.encode()) for name, value in ids.headers.items()]
        await socket.accept(subprotocol="realtime" if offered else None, headers=headers)
        dialect = dialect_of(socket.url.path, socket.query_params, socket.headers, offered)
        answer = await self.admission.judge(socket, dialect, self.holding.live)
        if isinstance(answer, Observing):
            answer = await self.calls.observe(answer, socket, dialect)
        if isinstance(answer, Refusal):
            ids.log(code=answer.code)
            await _refuse(socket, answer, dialect)
        elif answer is not None:
            await self._begin(socket, answer, ids)

    async def _begin(self, socket: WebSocket, admitted: Admitted, ids: RequestIds) -> None:
        with self.holding.seat():
            hold = await self.admission.enter(admitted.caller)
            if isinstance(hold, Refusal):
                ids.log(code=hold.code)
                await _refuse(socket, hold, admitted.dialect)
                return
            ids.log(session_id=admitted.config.id)
            with hold:
                await self._converse(socket, admitted, hold)

    async def _converse(self, socket: WebSocket, admitted: Admitted, hold: Hold) -> None:
        parts = await self.answerer.open(admitted)
        model = admitted.config.model
        counting = self.holding.counting("websocket", model, self.admission.doors.charge(hold, model))
        codec = counting.meter.over(
            with_own_events(parts.codec_for(admitted.dialect), wants_own_events(socket.query_params))
        )
        await self.holding.hold(
            parts, WebSocketTransport(socket, codec, parts.ready), admitted.config.id, counting
        )


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
