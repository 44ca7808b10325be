"""Several processes that share one port: started, looked after, told what happens, and ended together.

Knows processes and signals; nothing of what they serve. The kernel gives each new connection to one of them
(SO_REUSEPORT), so a worker that is busy or gone costs the others nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.server.cluster.house import Place
from kaiwa.server.settings import Settings

log = logging.getLogger("kaiwa.workers")

COMMAND: Final = (sys.executable, "-m", "kaiwa.cli.worker")
WRONG_SETTING: Final = 2
"""A worker's exit code when another start would end in the same way."""
PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before a worker is started again; from the beginning for one that lived STEADY_S."""
STEADY_S: Final = 60.0
FIRST_STARTS: Final = 3
"""So often each is tried while no worker ever came up; then the house gives up."""
_BEYOND_DRAIN_S: Final = 20.0


class Told(msgspec.Struct, frozen=True):
    """What a worker is told in the first line of its standard input. The input's end is the supervisor's."""

    place: Place
    options: dict[str, Any]
    file: str | None
    port: int
    ready_fd: int


class Here(msgspec.Struct, frozen=True):
    """What a worker says once it listens."""

    addresses: list[str]
    authority: str | None = None


@dataclass
class _Worker:
    process: asyncio.subprocess.Process
    began: float
    ready: bool = False
    missed: list[signal.Signals] = field(default_factory=list[signal.Signals])


class Supervisor:
    """Runs `settings.workers` processes until it is told to end. Raises ConfigError for a port that is taken.

    `options`: those of the command line, which each worker reads anew with what is written elsewhere.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any], file: str | None = None) -> None:
        self._settings = settings
        self._options = {name: value for name, value in options.items() if value is not None}
        self._file = file
        self._house = secrets.token_hex(4)
        self._workers: dict[int, _Worker] = {}
        self._here: dict[int, Here] = {}
        self._ending = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Return the exit code, once every worker has ended."""
        loop = asyncio.get_running_loop()
        for kind in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(kind, self._end, kind)
        loop.add_signal_handler(signal.SIGHUP, self._tell, signal.SIGHUP)
        with ExitStack() as kept:
            port = kept.enter_context(reserved(self._settings.host, self._settings.port, "KAIWA_PORT"))
            if self._settings.tls_port is not None:
                secure = kept.enter_context(
                    reserved(self._settings.host, self._settings.tls_port, "KAIWA_TLS_PORT")
                )
                self._options["tls_port"] = secure.getsockname()[1]
            async with asyncio.TaskGroup() as group:
                for number in range(self._settings.workers):
                    group.create_task(self._keep(number, port.getsockname()[1]))
                late = asyncio.create_task(self._kill_who_is_late())
            late.cancel()
        return self._status

    async def _keep(self, number: int, port: int) -> None:
        """Keep a worker running, and start it again when it dies, ever more slowly."""
        failures = 0
        while not self._ending.is_set():
            worker = await self._started(number, port)
            status = await worker.process.wait()
            self._workers.pop(number, None)
            if self._ending.is_set():
                return
            lived_s = time.monotonic() - worker.began
            failures = 1 if lived_s > STEADY_S else failures + 1
            facts = {"worker": number, "status": status, "elapsed_ms": round(lived_s * 1000)}
            log.error("a worker ended by itself", extra=facts)
            hopeless = not self._here and (status == WRONG_SETTING or failures >= FIRST_STARTS)
            if hopeless:
                self._status = status if status > 0 else 1
                self._end(signal.SIGTERM)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSES_S[min(failures, len(PAUSES_S)) - 1]):
                    await self._ending.wait()

    async def _started(self, number: int, port: int) -> _Worker:
        reading, writing = os.pipe()
        place = Place(self._house, number, self._settings.workers)
        try:
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(writing,),
                start_new_session=True,  # Ctrl-C is for us, who tell them
            )
        finally:
            os.close(writing)
        told = Told(place, self._options_of(number), self._file, port, writing)
        assert process.stdin is not None, "a pipe was asked for"
        with suppress(ConnectionError):
            process.stdin.write(json.dumps(msgspec.to_builtins(told), default=str).encode() + b"\n")
            await process.stdin.drain()
        worker = self._workers[number] = _Worker(process, time.monotonic())
        asyncio.get_running_loop().add_reader(reading, self._hear, number, worker, reading)
        if self._ending.is_set():
            process.terminate()
        return worker

    def _options_of(self, number: int) -> dict[str, Any]:
        """Return the options of one worker: of ports that cannot be shared each has its own."""
        ports = self._settings.rtc_port
        own = {"workers": self._settings.workers}
        if all(ports):
            return {**self._options, **own, "rtc_port": ports[number :: self._settings.workers]}
        return {**self._options, **own}

    def _hear(self, number: int, worker: _Worker, reading: int) -> None:
        """Take what a worker says when it listens; nothing, if it died before."""
        said = os.read(reading, 65536)
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)
        if not said:
            return
        again, worker.ready = number in self._here, True
        self._here[number] = msgspec.json.decode(said, type=Here)
        for missed in worker.missed:
            self._send(worker, missed)
        log.info("a worker listens", extra={"worker": number})
        if not again and len(self._here) == self._settings.workers:
            _say_where(self._here[number], len(self._here))

    def _tell(self, kind: signal.Signals) -> None:
        for worker in self._workers.values():
            if worker.ready:
                self._send(worker, kind)
            else:
                worker.missed.append(kind)  # before it is ready it might die of it

    def _end(self, kind: signal.Signals) -> None:
        """Let all workers drain; when asked again, end them at once."""
        again = self._ending.is_set()
        self._ending.set()
        for worker in self._workers.values():
            self._send(worker, signal.SIGINT if again else signal.SIGTERM)

    def _send(self, worker: _Worker, kind: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            worker.process.send_signal(kind)

    async def _kill_who_is_late(self) -> None:
        await self._ending.wait()
        settings = self._settings
        await asyncio.sleep(max(settings.drain_s, settings.drain_notice_s) + _BEYOND_DRAIN_S)
        for number, worker in self._workers.items():
            log.error("a worker did not end in time", extra={"worker": number})
            self._send(worker, signal.SIGKILL)


def supervise(settings: Settings, options: Mapping[str, Any], file: str | None = None) -> int:
    """Serve with several processes until the process is told to end; return its exit code."""
    return asyncio.run(Supervisor(settings, options, file).run())


def reserved(host: str, port: int, setting: str) -> socket.socket:
    """Return a socket that keeps a port for workers, and takes nothing itself. Raises ConfigError."""
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("KAIWA_WORKERS", "cannot share a port on this system.", "Use one worker.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        kept = socket.socket(family, kind, protocol)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            kept.bind(address)
        except OSError:
            kept.close()
            raise
    except OSError as error:
        problem = f"{host} with port {port} cannot be listened at ({error.strerror})."
        raise ConfigError(setting, problem, "Choose another.") from error
    return kept


def _say_where(here: Here, count: int) -> None:
    for address in here.addresses:
        sys.stdout.write(f"kaiwa 会話  {address}   ws{address[4:]}/v1/realtime?model=gpt-realtime\n")
    if here.authority is not None:
        sys.stdout.write("Clients trust it with either of these in their environment:\n")
        sys.stdout.write(f"  NODE_EXTRA_CA_CERTS={here.authority}\n  SSL_CERT_FILE={here.authority}\n")
    sys.stdout.write(f"{count} workers\n")
    sys.stdout.flush()
