"""A WebSocket peer is sent the frames its dialect has, and nothing for those it has not."""

from __future__ import annotations

import json

from starlette.websockets import WebSocket

from kaiwa.events import server
from kaiwa.events.items import FunctionCallOutput
from kaiwa.protocol.realtime.dialects import codec_for
from kaiwa.transports.websocket import WebSocketTransport

ITEM = FunctionCallOutput(id="item_1", call_id="call_1", output="42")
BEGIN_AND_END = (
    server.ItemAdded(event_id="event_1", previous_item_id=None, item=ITEM),
    server.ItemDone(event_id="event_2", previous_item_id=None, item=ITEM),
)


async def types_sent(dialect) -> list[str]:
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    socket = WebSocket({"type": "websocket"}, receive, send)
    await socket.accept()
    transport = WebSocketTransport(socket, codec_for(dialect))
    for event in BEGIN_AND_END:
        await transport.send(event)
    return [json.loads(message["text"])["type"] for message in sent if message["type"] == "websocket.send"]


async def test_an_event_that_the_dialect_lacks_is_not_sent():
    assert await types_sent("preview") == ["conversation.item.created"]


async def test_ga_peers_are_sent_everything():
    assert await types_sent("ga") == ["conversation.item.added", "conversation.item.done"]
