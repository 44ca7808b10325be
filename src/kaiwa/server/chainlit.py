"""The Chainlit page under `/chat`: its process beside the server, and the way of HTTP and WebSockets to it.

The page is a program of its own, with packages of its own (`ui/chainlit`), that listens on a Unix socket and
talks to this server by its public protocol. Nothing here knows Chainlit; a page that does not start leaves
the server as it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from kaiwa.server.access import origin_fits
from kaiwa.server.forwarding import HOP, Passed, pass_frames, url_at
from kaiwa.server.settings import Settings

PATH: Final = "/chat"
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
PAUSES_S: Final = (1.0, 5.0, 30.0)
END_S: Final = 3.0
STEADY_S: Final = 60.0  # who lived so long gets all attempts again

_ROOT: Final = Path(__file__).parents[3]
_SECRET: Final = ("KAIWA_API_KEY", "KAIWA_KEYS", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY", "OPENAI_API_KEY")
_ADDRESS: Final = "chat"
_SOCKETS: Final = frozenset(("host", "content-length", *HOP))
# Of the answer: this server tells them itself.
_TOLD_HERE: Final = frozenset(("date", "server", *HOP))
_SAID_ONCE: Final = "sec-websocket-"
_NOT_SET_UP: Final = (
    "The Chainlit page is not set up here. Run `kaiwa chainlit install`, in a clone "
    "scripts/setup-chainlit.sh. / "
    "Chainlit の画面はまだ用意されていません。kaiwa chainlit install を実行してください。\n"
)
_NOT_THERE: Final = (
    "The Chainlit page is starting, or has ended: the server's log says why. Try again in a moment.\n"
)

_log = logging.getLogger("kaiwa.server")


class ChatPage:
    """The page's process and its doorway. `start` once the server listens, `close` before it ends."""

    def __init__(self, settings: Settings, *, keyed: bool, home: Path | None = None) -> None:
        home = home or home_of_the_page(settings)
        self._allowed = settings.allowed_origins
        self._keyed = keyed
        self._python = home / ".venv-chainlit" / "bin" / "python"
        self._program = home / "ui" / "chainlit" / "serve.py"
        self._folder: Path | None = None
        self._running: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def set_up(self) -> bool:
        return self._python.exists() and self._program.exists()

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(PATH, self, methods=None), Mount(PATH, app=self)]

    def start(self, addresses: Sequence[str], authority: Path | None = None) -> None:
        """Begin the page's process, which calls the first address; `authority` signs for TLS."""
        if not self.set_up:
            _log.warning(_NOT_SET_UP.strip())
            return
        self._folder = Path(tempfile.mkdtemp(prefix="kaiwa-chat-"))
        path = self._folder / "socket"
        self._http = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(path)),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        )
        environment = self._environment(_reachable(addresses[0]), path, authority)
        self._running = asyncio.create_task(self._keep_running(environment), name="chainlit")

    def adjust(self, settings: Settings) -> None:
        self._allowed = settings.allowed_origins

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._http is not None:
            await self._http.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _environment(self, address: str, path: Path, authority: Path | None) -> Mapping[str, str]:
        """What the page is told. Where callers need a key, visitors log in with theirs."""
        own = {
            "KAIWA_URL": address,
            "KAIWA_CHAINLIT_SOCKET": str(path),
            "KAIWA_CHAINLIT_ROOT_PATH": PATH,
        }
        kept = dict(os.environ)
        if self._keyed and "KAIWA_CHAINLIT_LOGIN" not in kept:
            own["KAIWA_CHAINLIT_LOGIN"] = "key"
            kept = {name: value for name, value in kept.items() if name not in _SECRET}
        if authority is not None:
            own["SSL_CERT_FILE"] = str(authority)
        return kept | own

    async def _keep_running(self, environment: Mapping[str, str]) -> None:
        """Start the process, and again after it ended, a few times."""
        loop = asyncio.get_running_loop()
        attempt = 0
        while attempt <= len(PAUSES_S):
            began = loop.time()
            status, last_line = await self._run(environment)
            attempt = 1 if loop.time() - began > STEADY_S else attempt + 1
            # Its own sentence about a setting; whatever else it wrote last may hold words of visitors.
            cause = last_line if status == 2 else ""
            _log.warning("the Chainlit page ended", extra={"status": status, "cause": cause})
            if status == 2 or attempt > len(PAUSES_S):
                return
            await asyncio.sleep(PAUSES_S[attempt - 1])

    async def _run(self, environment: Mapping[str, str]) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            str(self._python),
            str(self._program),
            env=environment,
            stdin=asyncio.subprocess.PIPE,  # the page ends when this closes, however we ended
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        last_line = ""
        try:
            assert process.stderr is not None, "a pipe was asked for"
            while line := await _line(process.stderr):
                last_line = line.decode(errors="replace").strip() or last_line
            return await process.wait(), last_line
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), END_S)
                except TimeoutError:
                    process.kill()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._relay_socket(WebSocket(scope, receive, send))
        else:
            request = Request(scope, receive)
            answer = await self._answer(request)
            await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse("The request is too large for the page.\n", 413)
        assert self._http is not None, "a page without a line was refused"
        try:
            answer = await self._http.request(
                request.method,
                url_at(_ADDRESS, request),
                headers=_forwarded(request),
                data=bytes(body) or None,
                allow_redirects=False,
            )
        except aiohttp.ClientError:
            return PlainTextResponse(_NOT_THERE, 503, {"retry-after": "2"})
        return Passed(answer, _TOLD_HERE)

    async def _relay_socket(self, socket: WebSocket) -> None:
        if self._refusal(socket) is not None or self._http is None:
            await socket.close(1008)
            return
        try:
            async with self._http.ws_connect(
                url_at(_ADDRESS, socket), headers=_forwarded(socket), max_msg_size=MAX_FRAME_BYTES
            ) as page:
                await socket.accept()
                await pass_frames(socket, page)
        except aiohttp.ClientError:
            await socket.close(1013)

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        if not origin_fits(connection, self._allowed) and not _own_origin(connection):
            return PlainTextResponse("This origin may not connect. Add it to KAIWA_ALLOWED_ORIGINS.\n", 403)
        if self._http is None:
            return PlainTextResponse(_NOT_THERE if self.set_up else _NOT_SET_UP, 503)
        return None


def home_of_the_page(settings: Settings) -> Path:
    """Return the folder that has the page and its environment: a clone, else where kaiwa keeps its models."""
    if (_ROOT / "ui" / "chainlit").is_dir():
        return _ROOT
    return (settings.cache_directory or Path.home() / ".cache") / "kaiwa" / "chainlit"


def _forwarded(connection: HTTPConnection) -> list[tuple[str, str]]:
    told = [
        (name, value)
        for name, value in connection.headers.items()
        if name not in _SOCKETS and not name.startswith(_SAID_ONCE)
    ]
    secure = connection.url.scheme in ("https", "wss")
    return [
        *told,
        ("host", connection.headers.get("host", "chat")),
        ("x-forwarded-proto", "https" if secure else "http"),
    ]


def _own_origin(connection: HTTPConnection) -> bool:
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == connection.headers.get("host")


def _reachable(address: str) -> str:
    """An address that a program of this machine can call: a server for all addresses is at this one too."""
    return address.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the reader holds: nothing that we would show
        return b"\n"
