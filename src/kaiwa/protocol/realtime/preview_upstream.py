"""An upstream that speaks the preview dialect, as GA events: one value for each connection.

Keeps what the preview says once and GA says twice: the order of the conversation, which of its items are
unfinished, and the names of functions whose calls are being written. Knows nothing of what becomes of the
events.
"""

from __future__ import annotations

from msgspec import UNSET, structs

from kaiwa.events import server
from kaiwa.events.items import AnyItem, FunctionCall, Message
from kaiwa.events.server import ServerEvent
from kaiwa.protocol.realtime.preview import PreviewCodec
from kaiwa.protocol.realtime.reading import UnknownServerEvent


class PreviewUpstream:
    """Feed it every frame in order; it gives the events a GA upstream would have sent."""

    def __init__(self, codec: PreviewCodec | None = None) -> None:
        self._codec = codec or PreviewCodec()
        self._order: list[str] = []
        self._open: set[str] = set()
        self._names: dict[str, str] = {}

    def events(self, frame: str | bytes) -> tuple[ServerEvent | UnknownServerEvent, ...]:
        """Return what a frame stands for, most often one event. Never raises on what the upstream sent."""
        event = self._codec.decode_server(frame)
        match event:
            case server.ItemAdded():
                return self._added(event)
            case server.ItemDeleted(item_id=item_id) if item_id in self._order:
                self._order.remove(item_id)
                return (event,)
            case server.OutputItemAdded(item=FunctionCall() as call):
                self._names[str(call.id)] = call.name
                return (event,)
            case server.ArgumentsDone(name=""):
                return (structs.replace(event, name=self._names.get(event.item_id, "")),)
            case server.OutputItemDone(item=item):
                self._names.pop(str(item.id), None)
                return (*self._done(event.event_id, item), event)
            case server.ResponseDone(response=response):
                done = [self._done(event.event_id, item) for item in response.output]
                return (*(one for ones in done for one in ones), event)
            case _:
                return (event,)

    def _added(self, event: server.ItemAdded) -> tuple[ServerEvent, ...]:
        item_id, previous = str(event.item.id), event.previous_item_id
        if previous is None:
            self._order.insert(0, item_id)
        elif previous in self._order:
            self._order.insert(self._order.index(previous) + 1, item_id)
        else:
            self._order += [previous, item_id]
        self._open.add(item_id)
        return (event,) if _unfinished(event.item) else (event, *self._done(event.event_id, event.item))

    def _done(self, event_id: str, item: AnyItem) -> tuple[ServerEvent, ...]:
        """Say once that an item of the conversation is finished; out-of-band items were never added."""
        item_id = str(item.id)
        if item_id not in self._open:
            return ()
        self._open.remove(item_id)
        previous = self._previous(item_id)
        done = server.ItemDone(event_id=f"{event_id}_{item_id}", previous_item_id=previous, item=item)
        return (done,)

    def _previous(self, item_id: str) -> str | None:
        place = self._order.index(item_id) if item_id in self._order else 0
        return self._order[place - 1] if place else None


def _unfinished(item: AnyItem) -> bool:
    """Whether a response is still writing the item."""
    if isinstance(item, FunctionCall) or (isinstance(item, Message) and item.role == "assistant"):
        return item.status is not UNSET and item.status == "in_progress"
    return False
