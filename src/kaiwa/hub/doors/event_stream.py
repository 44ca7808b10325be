"""A hub connection over server-sent events (rules S-21 to S-24); what the client says comes by POST."""

from __future__ import annotations

from typing import Final

from kaiwa.hub.connection import Connection
from kaiwa.hub.doors.exchange import Exchange, Headers
from kaiwa.hub.doors.links import TaskLink

_HEADERS: Final[Headers] = (
    (b"cache-control", b"no-cache, no-store"),
    (b"content-encoding", b"identity"),
    (b"x-accel-buffering", b"no"),  # nginx would wait for more
)


def as_event(payload: bytes) -> bytes:
    """One `data:` line for each line; the client puts them together again with line feeds."""
    lines = payload.replace(b"\r\n", b"\n").split(b"\n")
    return b"".join(b"data: %b\r\n" % line for line in lines) + b"\r\n"


async def serve_event_stream(exchange: Exchange, connection: Connection) -> None:
    link = TaskLink(connection, "ServerSentEvents", binary=False)
    connection.attach(link)
    await exchange.start(200, b"text/event-stream", _HEADERS)
    await exchange.write(b":\r\n")  # at once: it is what opens the client's EventSource

    async def write(payload: bytes) -> None:
        await exchange.write(as_event(payload))

    try:
        await link.first_of(exchange.gone(), link.pump(write))
        if not link.dropped.is_set():
            await exchange.write(b"", more=False)
    except* OSError:
        pass
    finally:
        connection.lost(link)
