"""signalrcore against a hub: calls, streams both ways, groups, and a connection that is cut.

It gives no results to a server that asks: it has no such thing.
"""

from __future__ import annotations

import logging
import os
import queue
from typing import Any

from hub_client import PATIENCE_S, ask_for_a_cut, read_job, tell, tell_failure
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

ENCODINGS = {"json": HubProtocolEncoding.text, "messagepack": HubProtocolEncoding.binary}


def connection_of(job: dict[str, Any]) -> Any:
    options = {
        "access_token_factory": lambda: job["token"],
        "transport": HttpTransportType(job["transport"]),
    }
    builder = HubConnectionBuilder().with_url(job["url"], options=options).configure_logging(logging.CRITICAL)
    builder = builder.with_hub_protocol(ENCODINGS[job["protocol"]])
    again = {"type": "raw", "keep_alive_interval": 5, "reconnect_interval": 1, "max_attempts": 5}
    return builder.with_automatic_reconnect(again).build()


class Seen:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.welcome: queue.Queue[Any] = queue.Queue()
        self.told: queue.Queue[Any] = queue.Queue()
        self.collected: queue.Queue[Any] = queue.Queue()
        for name in ("welcome", "told", "collected"):
            connection.on(name, self._into(getattr(self, name)))

    def _into(self, into: queue.Queue[Any]) -> Any:
        return lambda arguments: into.put(arguments[0])

    def invoke(self, method: str, *arguments: Any) -> Any:
        done: queue.Queue[Any] = queue.Queue()
        self._connection.invoke(method, list(arguments), done.put)
        return done.get(timeout=PATIENCE_S).result

    def stream(self, method: str, *arguments: Any) -> list[Any]:
        """Return the items of a stream that begins with `go`: before it is subscribed to it has no reader."""
        items: list[Any] = []
        done: queue.Queue[Any] = queue.Queue()
        self._connection.stream(method, list(arguments)).subscribe(
            {"next": items.append, "complete": done.put, "error": done.put}
        )
        self.invoke("go")
        done.get(timeout=PATIENCE_S)
        return items


def see(connection: Any, uploads: bool) -> dict[str, Any]:
    seen = Seen(connection)
    connection.start()
    first = seen.welcome.get(timeout=PATIENCE_S)
    saw: dict[str, Any] = {"sum": seen.invoke("add", 2, 3), "counted": seen.stream("count_after_go", 30)}
    if uploads:
        upload = Subject()
        connection.send("collect", upload)
        for number in range(10):
            upload.next(number)
        upload.complete()
        saw["collected"] = seen.collected.get(timeout=PATIENCE_S)
    seen.invoke("join", "room")
    seen.invoke("tell_group", "room", "to the group")
    saw["told"] = seen.told.get(timeout=PATIENCE_S)
    ask_for_a_cut()
    saw["another"] = seen.welcome.get(timeout=PATIENCE_S) != first
    saw["again"] = seen.invoke("add", 4, 5)
    return saw


def main() -> None:
    job = read_job()
    try:
        tell(see(connection_of(job), job["uploads"]))
    except Exception as failure:  # noqa: BLE001 a client may fail in any way
        tell_failure(failure)
    os._exit(0)  # its threads would keep the process


main()
