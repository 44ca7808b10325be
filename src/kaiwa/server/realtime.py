"""The Realtime endpoint: an upgraded socket becomes a running conversation, or is refused in band."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from kaiwa.events import server
from kaiwa.protocol.realtime.dialects import Dialect, codec_for, dialect_of
from kaiwa.runner import converse
from kaiwa.server.access import subprotocols
from kaiwa.server.admission import Admission, Refusal
from kaiwa.server.conversations import Admitted, Answerer
from kaiwa.server.ids import new_id
from kaiwa.server.metering import Meter, Totals
from kaiwa.transports.websocket import WebSocketTransport

log = logging.getLogger("kaiwa.server")


@dataclass
class RealtimeEndpoint:
    """Serves every address at which a Realtime client opens a WebSocket."""

    admission: Admission
    answerer: Answerer
    live: int = 0
    totals: Totals = field(default_factory=Totals)
    """What all conversations cost since the process began."""

    async def __call__(self, socket: WebSocket) -> None:
        offered = subprotocols(socket)
        await socket.accept(subprotocol="realtime" if offered else None)
        dialect = dialect_of(socket.url.path, socket.query_params, socket.headers, offered)
        answer = self.admission.judge(socket, dialect, self.live)
        if isinstance(answer, Refusal):
            await _refuse(socket, answer, dialect)
            return
        self.live += 1
        try:
            await self._converse(socket, answer)
        finally:
            self.live -= 1

    async def _converse(self, socket: WebSocket, admitted: Admitted) -> None:
        began = time.monotonic()
        session_id = admitted.config.id
        log.info("session opened", extra={"session_id": session_id})
        parts = await self.answerer.open(admitted)
        meter = Meter(self.totals)
        transport = WebSocketTransport(socket, meter.over(parts.codec_for(admitted.dialect)), parts.ready)
        reason = await converse(parts.session, transport, parts.engine, parts.tools, servers=parts.servers)
        elapsed_ms = round((time.monotonic() - began) * 1000)
        facts = {"session_id": session_id, "reason": reason, "elapsed_ms": elapsed_ms}
        log.info("session closed", extra=facts | meter.totals.as_facts())


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
