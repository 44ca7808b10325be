"""`python -m kaiwa.cli.worker`: one process of `kaiwa serve --workers N`; only its supervisor starts it.

Knows what it is told on its standard input. When that ends, so has the supervisor, and the worker drains.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.server.settings import Settings
from kaiwa.server.workers import WRONG_SETTING, Here, Told, reserved


def main() -> None:
    """Serve as a worker until told to end."""
    told = _told()
    threading.Thread(target=_end_with_the_supervisor, daemon=True).start()
    try:
        _serve(told)
    except ConfigError as error:
        print(f"kaiwa: {error}", file=sys.stderr)
        raise SystemExit(WRONG_SETTING) from error


def _serve(told: Told) -> None:
    from kaiwa.cli.disturbing import disturber_for
    from kaiwa.cli.recording import recording_for
    from kaiwa.server.app import serve
    from kaiwa.server.configuration import read_configuration
    from kaiwa.server.listening import HouseServer

    file = None if told.file is None else Path(told.file)

    def listens(server: HouseServer) -> None:
        authority = None if server.authority is None else str(server.authority)
        os.write(told.ready_fd, msgspec.json.encode(Here(server.addresses, authority)))
        os.close(told.ready_fd)

    def read_again() -> Settings:
        return read_configuration(told.options, file=file).demand()

    settings = read_again()
    listener = reserved(settings.host, told.port, "KAIWA_PORT")
    place, disturber = told.place, disturber_for(settings)
    serve(
        settings,
        read_again,
        place=place,
        sockets=[listener],
        ready=listens,
        disturber=disturber,
        furnish=recording_for(settings),
    )


def _told() -> Told:
    """Read the first line, without a buffer that would hold the rest back."""
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            raise SystemExit(WRONG_SETTING)
        line += piece
    return msgspec.json.decode(line, type=Told)


def _end_with_the_supervisor() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
