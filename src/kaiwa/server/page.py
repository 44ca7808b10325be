"""The console at `/`: its built files, the headers that bind it, and what it is told about this server.

Knows no event and no conversation: the page speaks the public protocol as any other client does. Its sources
are in `web/`; nothing it loads, and nobody it talks to, is on another host.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kaiwa.server.directory import Directory
from kaiwa.server.failures import failure
from kaiwa.server.security_headers import OF_PAGES
from kaiwa.server.settings import Settings
from kaiwa.tools.agent import Agent

FIRST_AGENT: Final = "rentacar"
_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


class StaticFile(NamedTuple):
    body: bytes
    packed: bytes
    media_type: str
    etag: str


class Console:
    """Answers `GET /`, `GET /console/{name}` and `GET /console/facts`.

    `carriers`: how the page may connect, "websocket" and "webrtc"; `keyed`: everybody needs a key.
    """

    def __init__(
        self, settings: Settings, directory: Directory, carriers: Sequence[str], *, keyed: bool
    ) -> None:
        static = files("kaiwa.server") / "static"
        self._page = read_static(static / "index.html")
        self._parts = {part.name: read_static(part) for part in (static / "console").iterdir()}
        self._settings = settings
        self._directory = directory
        self._carriers = list(carriers)
        self._keyed = keyed

    def adjust(self, settings: Settings) -> None:
        self._settings = settings

    async def page(self, request: Request) -> Response:
        return send_static(request, self._page)

    async def part(self, request: Request) -> Response:
        part = self._parts.get(request.path_params["name"])
        if part is None:
            return failure(404, None, "There is no such part of the console.")
        return send_static(request, part)

    async def facts(self, request: Request) -> Response:
        """Tell the page what it may choose from. Tells no secret: keys are asked for, never shown."""
        prices = self._settings.prices
        agents = [agent for name in self._directory.names if (agent := self._directory.find(name))]
        told = {
            "agents": [_agent(agent) for agent in agents],
            "agent": self._directory.default.name if self._settings.agent else FIRST_AGENT,
            "key_required": self._keyed,
            "transports": self._carriers,
            "prices": prices.model_dump(exclude={"models"}) if prices is not None else None,
        }
        return JSONResponse(told, headers={**OF_PAGES, "cache-control": "no-store"})


def _agent(agent: Agent) -> dict[str, str | None]:
    return {"name": agent.name, "language": agent.language, "description": _description(agent)}


def _description(agent: Agent) -> str | None:
    """What an agent can do, by its tools: its instructions are for the model only."""
    first_lines = [(entry.spec.description or entry.spec.name).strip() for entry in agent.tools]
    return " ".join(line.splitlines()[0] for line in first_lines if line) or None


class HousePage:
    """A page of who runs the house, as it was written: `GET /{name}` and `GET /{name}/{part}`.

    Its own files are in `{name}_page`, what all such pages share in `house_pages`; `title` stands there
    until its script chooses the language.
    """

    def __init__(self, name: str, title: str) -> None:
        package = files("kaiwa.server")
        shared = package / "house_pages"
        folders = (shared, package / f"{name}_page")
        self._parts = {part.name: read_static(part) for folder in folders for part in folder.iterdir()}
        frame = (shared / "index.html").read_text("utf-8")
        self._page = static_of("index.html", frame.replace("{name}", name).replace("{title}", title).encode())

    async def page(self, request: Request) -> Response:
        return send_static(request, self._page)

    async def part(self, request: Request) -> Response:
        part = self._parts.get(request.path_params["name"])
        if part is None:
            return failure(404, None, "There is no such part of the page.")
        return send_static(request, part)


def read_static(part: Traversable) -> StaticFile:
    return static_of(part.name, part.read_bytes())


def static_of(name: str, body: bytes) -> StaticFile:
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    packed = gzip.compress(body, mtime=0)
    return StaticFile(body, packed, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def send_static(request: Request, file: StaticFile) -> Response:
    headers = {**OF_PAGES, "cache-control": "no-cache", "etag": file.etag, "vary": "accept-encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(file.packed, media_type=file.media_type, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
