"""From the options of `kaiwa functions serve` to a host on a port.

Knows settings, ports and what to tell the person who started it; the host is `kaiwa.functions`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

from kaiwa.errors import ConfigError
from kaiwa.functions import troubles
from kaiwa.functions.host import FunctionsHost, HostOptions, running_host
from kaiwa.functions.manifest import DEFAULT_PORT, AppFiles, needs_storage, read_app
from kaiwa.functions.process import Interpreter, find_libraries
from kaiwa.server.handshake import AnsweredUpgrade, BoundedHandshake
from kaiwa.server.logs import log_to_stderr
from kaiwa.server.settings import is_loopback
from kaiwa.testing.service.sockets import listening

log = logging.getLogger("kaiwa.functions")
_STORAGE: Final = "UseDevelopmentStorage=true"
_LOOK_S: Final = 0.5


@dataclass(frozen=True)
class FunctionsOptions:
    directory: Path
    host: str = "127.0.0.1"
    port: int | None = None
    python: Path | None = None
    libraries: Path | None = None
    key: str | None = field(default=None, repr=False)


def run(options: FunctionsOptions) -> None:
    """Serve until the process is told to end. Raises ConfigError."""
    log_to_stderr("info", "text")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    asyncio.run(_serve(options))


async def _serve(options: FunctionsOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with serving_functions(options) as served:
            print(_advice(served), flush=True)
            await stop.wait()
    except OSError as taken:
        raise ConfigError("--port", f"cannot be used ({taken.strerror}).", "Take another.") from taken


@dataclass(frozen=True)
class Served:
    url: str
    app: AppFiles
    host: FunctionsHost


@asynccontextmanager
async def serving_functions(options: FunctionsOptions) -> AsyncGenerator[Served]:
    """Serve an app until the block is left. Raises ConfigError, and OSError when the port is taken."""
    files = read_app(options.directory)
    interpreter = Interpreter(find_libraries(options.libraries), _python(options.python))
    door = _Door()
    wanted = options.port if options.port is not None else files.local.port or DEFAULT_PORT
    sockets = listening(door, host=options.host, port=wanted, http=BoundedHandshake, ws=AnsweredUpgrade)
    async with sockets as port:
        settings = settings_of(files, f"http://localhost:{port}")
        _check_settings(files, settings, port)
        made = HostOptions(
            interpreter=interpreter,
            settings=settings,
            key=options.key,
        )
        async with running_host(files, made) as host:
            _check_keys(host, options)
            if needs_storage(host.functions) and settings.get("AzureWebJobsStorage") == _STORAGE:
                _look_for_storage()
            door.open(host)
            yield Served(f"http://{options.host}:{port}", files, host)


class _Door:
    """Stands at the port from the beginning, since the app must know its number; requests wait."""

    def __init__(self) -> None:
        self._host: FunctionsHost | None = None
        self._opened = asyncio.Event()

    def open(self, host: FunctionsHost) -> None:
        self._host = host
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await self._opened.wait()
        assert self._host is not None, "the door was opened"
        await self._host(scope, receive, send)


def settings_of(files: AppFiles, base_url: str) -> dict[str, str]:
    """Return the app's settings: the environment wins over local.settings.json, as with Core Tools."""
    usual = {"FUNCTIONS_WORKER_RUNTIME": "python", "FUNCTIONS_BASE_URL": base_url}
    given = {**files.local.values, **os.environ}
    return {**given, **{name: given.get(name) or value for name, value in usual.items()}}


def _check_settings(files: AppFiles, settings: dict[str, str], port: int) -> None:
    runtime = settings["FUNCTIONS_WORKER_RUNTIME"]
    if runtime != "python":
        raise ConfigError(
            "FUNCTIONS_WORKER_RUNTIME",
            f"is '{runtime}', and this host runs Python only.",
            "Set it to python. / python にしてください。",
        )
    if not files.local.found:
        log.warning(str(troubles.NO_LOCAL_SETTINGS), extra={"code": troubles.NO_LOCAL_SETTINGS.code})
    base_url = settings["FUNCTIONS_BASE_URL"].rstrip("/")
    here = any(base_url.startswith(f"http://{name}:") for name in ("localhost", "127.0.0.1"))
    if here and not base_url.endswith(f":{port}"):
        trouble = troubles.other_port(port)
        log.warning(str(trouble), extra={"code": trouble.code})


def _check_keys(host: FunctionsHost, options: FunctionsOptions) -> None:
    if options.key is None and not is_loopback(options.host) and host.asks_for_keys:
        raise ConfigError(
            "--key",
            f"{', '.join(host.asks_for_keys)} must not be open to {options.host} without a key.",
            "Set KAIWA_FUNCTIONS_KEY, or authLevel to anonymous. / KAIWA_FUNCTIONS_KEY を設定するか、"
            "authLevel を anonymous にしてください。",
        )


def _look_for_storage() -> None:
    address, _, port = troubles.STORAGE.partition(":")
    try:
        socket.create_connection((address, int(port)), _LOOK_S).close()
    except OSError:
        log.warning(str(troubles.NO_STORAGE), extra={"code": troubles.NO_STORAGE.code})


def _python(given: Path | None) -> Path | None:
    if given is None:
        return None
    found = shutil.which(given)
    if found is None:
        raise ConfigError(
            "--python", f"{given} cannot be run.", "Name a Python. / Python を指定してください。"
        )
    return Path(found)


def _advice(served: Served) -> str:
    lines = [f"kaiwa 会話  the functions of {served.app.directory.name} (v{served.app.version})", ""]
    lines += [f"  {name}: [{methods}] {served.url}{path}" for name, methods, path in served.host.addresses]
    of_azure = "Azure SignalR Service (AzureSignalRConnectionString)"
    ours = "kaiwa's own hub, no Azure service / kaiwa 自身のハブ"
    lines += ["", f"  SignalR: {of_azure if served.host.services else ours}"]
    return "\n".join(lines)
