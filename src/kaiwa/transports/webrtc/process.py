"""The media process: `python -m kaiwa.transports.webrtc.process FD PORT SETTINGS`.

Holds no model and no conversation, so that neither makes a packet late. Ends with the socket at FD, which is
its only tie to the server.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.transports.webrtc.house import MediaHouse
from kaiwa.transports.webrtc.line import Line
from kaiwa.transports.webrtc.orders import Heard, Order, Ready, Refused, Report, order_decoder
from kaiwa.transports.webrtc.settings import MediaSettings

log = logging.getLogger("kaiwa.media")

_PRIORITY: Final = -10


async def serve(through: socket.socket, port: int, settings: MediaSettings) -> None:
    """Take orders until the other end is gone."""
    loop = asyncio.get_running_loop()
    house: MediaHouse | None = None

    def take(order: Order) -> None:
        assert house is not None, "orders come after Ready"
        house.take(order)

    line = Line(order_decoder, take)

    def report(report: Report) -> None:
        # A server that stands still has no use for what was said meanwhile.
        if line.has_room or not isinstance(report, Heard):
            line.send(report)

    await loop.create_unix_connection(lambda: line, sock=through)
    try:
        house = MediaHouse(settings, port, report)
    except ConfigError as error:
        line.send(Refused(setting=error.setting, problem=error.problem, remedy=error.remedy))
        line.close()
        return
    loop.set_exception_handler(_complain)
    line.send(Ready())
    gc.collect()
    gc.freeze()
    await line.gone.wait()
    await house.close()


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught, without the words of it: aiortc sends in tasks that a call's end overtakes."""
    error = context.get("exception")
    if not isinstance(error, ConnectionError):
        cause = type(error).__name__ if error is not None else str(context.get("message"))
        log.error("uncaught in media", extra={"cause": cause})


def main() -> None:
    # The terminal's Ctrl-C goes to the server; this process ends after it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _go_first()
    _log_with_causes()
    through = socket.socket(fileno=int(sys.argv[1]))
    settings = msgspec.json.decode(sys.argv[3], type=MediaSettings)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(serve(through, int(sys.argv[2]), settings))


def _log_with_causes() -> None:
    handler = logging.StreamHandler()
    line = "%(asctime)s %(levelname)s %(name)s %(message)s %(cause)s"
    handler.setFormatter(logging.Formatter(line, defaults={"cause": ""}))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _go_first() -> None:
    """Go before models and other work where the system allows it: a packet has 20 ms, an answer has more."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(os.getpriority(os.PRIO_PROCESS, 0), _PRIORITY))


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


if __name__ == "__main__":
    main()
