"""The process that serves an application: its ports, plain and TLS, and how it begins and ends.

Knows uvicorn and sockets; nothing of what is served.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from kaiwa.errors import ConfigError
from kaiwa.server.certificates import Certificate, own_certificate, self_signed, tls_context
from kaiwa.server.chainlit import ChatPage
from kaiwa.server.cluster.house import Cluster
from kaiwa.server.direct import DirectConnection
from kaiwa.server.handshake import AnsweredUpgrade, BoundedConfig
from kaiwa.server.settings import Settings
from kaiwa.transports.parting import stop_accepting

log = logging.getLogger("kaiwa.server")
MAX_FRAME_BYTES = 24 * 1024 * 1024
PING_S = 20.0
# A client has five seconds to answer a close frame; who does not is cut off then.
GRACE_S = 7
LOOK_EVERY_S = 0.1
# Services, databases, media, the models' and the log's.
FILES_OF_OUR_OWN = 200


def most_connections() -> int | None:
    """Return how many leave this process files for the rest of its work; None where nobody counts."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(soft - FILES_OF_OUR_OWN, soft // 2)


def certificate_of(settings: Settings) -> Certificate | None:
    """Return the certificate that the settings ask for, if any. Raises ConfigError."""
    if settings.tls_self_signed:
        return self_signed(settings.cache_directory or Path.home() / ".cache", settings.host)
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return own_certificate(settings.tls_cert, settings.tls_key)


def look_for_ports(settings: Settings) -> None:
    """See whether the ports are free, before anything costly is loaded. Raises ConfigError."""
    for setting, port in (("KAIWA_PORT", settings.port), ("KAIWA_TLS_PORT", settings.tls_port)):
        if port:
            _bind_once(setting, settings.host, port)


def _bind_once(setting: str, host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        problem = f"{host} with port {port} cannot be listened at ({error.strerror})."
        raise ConfigError(setting, problem, "Choose another, or end what listens there.") from error


class HouseServer(uvicorn.Server):
    """Listens where the settings say, and calls `ready` once it does.

    A sole port speaks TLS when there is a certificate; with `tls_port` the first one stays plain.
    """

    def __init__(
        self, app: Starlette, settings: Settings, ready: Callable[[HouseServer], None] | None = None
    ) -> None:
        self._certificate = certificate_of(settings)
        self._context = None
        if self._certificate is not None:
            self._context = tls_context(self._certificate, settings.tls_minimum)
        self._tls_port = settings.tls_port
        self._ready = ready
        self._drain: Callable[[], Awaitable[None]] | None = getattr(app.state, "drain", None)
        self._beside: ChatPage | None = getattr(app.state, "beside", None)
        self._cluster: Cluster | None = getattr(app.state, "cluster", None)
        self._peers: asyncio.Server | None = None
        self._bounds = _config(app, settings)
        super().__init__(self._bounds)
        self.config.load()
        self.config.loaded_app = _CutOff(self.config.loaded_app)
        if self._tls_port is None:
            self.config.ssl = self._context

    @property
    def addresses(self) -> list[str]:
        """Where it listens for clients, as http(s)://host:port, the plain one first."""
        ports = [server.sockets[0].getsockname()[1] for server in self.servers if server is not self._peers]
        secure = [False, True] if len(ports) == 2 else [self._context is not None]
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return [f"http{'s' * tls}://{host}:{port}" for tls, port in zip(secure, ports, strict=True)]

    @property
    def authority(self) -> Path | None:
        """What clients must trust when kaiwa made its certificate itself."""
        return self._certificate.authority if self._certificate is not None else None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._tls_port is not None and self._context is not None:
            self.servers.append(await self._listen_by_tls(self._tls_port, self._context))
        if self.started and self._cluster is not None and self._cluster.door is not None:
            self.servers.append(await self._listen_for_peers(self._cluster.door))
        if self.started and self._ready is not None:
            self._ready(self)
        if self.started and self._beside is not None:
            self._beside.start(self.addresses, self.authority)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running streams finish while the port is open still; a second signal ends them at once."""
        if self._drain is not None:
            draining = asyncio.ensure_future(self._drain())
            while not draining.done() and not self.force_exit:
                await asyncio.wait([draining], timeout=LOOK_EVERY_S)
            draining.cancel()
        await stop_accepting(self.servers)
        self._bounds.leaving = True
        await super().shutdown(sockets)

    def _connection(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        return protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def _listen_for_peers(self, door: socket.socket) -> asyncio.Server:
        """Take what other processes of the house pass on; plain, whatever clients speak."""
        self._peers = await asyncio.get_running_loop().create_server(self._connection, sock=door)
        return self._peers

    async def _listen_by_tls(self, port: int, context: ssl.SSLContext) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        together = True if self.config.workers > 1 else None
        try:
            return await loop.create_server(
                self._connection, self.config.host, port, ssl=context, reuse_port=together
            )
        except OSError as error:
            for server in self.servers:
                server.close()
            await self.lifespan.shutdown()
            problem = f"port {port} cannot be used ({error.strerror})."
            raise ConfigError("KAIWA_TLS_PORT", problem, "Choose another.") from error


class _CutOff:
    """The application; who is cut off when the server's patience ends costs the log a line, no traceback."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, partial(_in_a_line, send))
            return
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            log.warning("a client was cut off when the server ended")  # and its task has nothing left to do


async def _in_a_line(send: Send, message: Message) -> None:
    """Pass on what the application says of its end; of one that a second Ctrl-C cut short, no traceback."""
    task = asyncio.current_task()
    if message["type"] == "lifespan.shutdown.failed" and task is not None and task.cancelling():
        log.warning("the server was ended before it had put everything away")
        message = {**message, "message": ""}
    await send(message)


def _config(app: Starlette, settings: Settings) -> BoundedConfig:
    config = BoundedConfig(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        log_config=None,  # its warnings go where all lines go, in the same form
        http=DirectConnection,
        ws=AnsweredUpgrade,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_S,
        workers=settings.workers,
    )
    config.most_connections = settings.max_connections or most_connections()
    return config
