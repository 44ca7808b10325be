"""The page `/signalr`: tokens through a hub, and whom its policy lets it talk to.

Its sources are in `web/signalr`. It may reach this server, the Azure service that is named, and servers of
the same machine (a Functions app beside this one), by the base address it asks for; nothing else.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from kaiwa.hub.azure import read_connection_string
from kaiwa.server.failures import failure
from kaiwa.server.page import read_static, send_static
from kaiwa.server.security_headers import page_policy
from kaiwa.server.settings import Settings

_BESIDE: Final = tuple(
    f"{scheme}://{host}:*" for scheme in ("http", "ws") for host in ("localhost", "127.0.0.1")
)


class SignalRPage:
    """Answers `GET /signalr` and `GET /signalr/{name}`."""

    def __init__(self, settings: Settings) -> None:
        page = files("kaiwa.server") / "signalr_page"
        self._page = read_static(page / "index.html")
        self._parts = {part.name: read_static(part) for part in (page / "signalr").iterdir()}
        self._policy = page_policy((*_BESIDE, *_azure(settings)))

    async def page(self, request: Request) -> Response:
        response = send_static(request, self._page)
        response.headers["content-security-policy"] = self._policy
        return response

    async def part(self, request: Request) -> Response:
        part = self._parts.get(request.path_params["name"])
        if part is None:
            return failure(404, None, "There is no such part of the page.")
        return send_static(request, part)


def _azure(settings: Settings) -> list[str]:
    if settings.azure_signalr is None:
        return []
    parts = urlsplit(read_connection_string(settings.azure_signalr.get_secret_value()).client_url)
    return [f"{parts.scheme}://{parts.netloc}", f"ws{parts.scheme.removeprefix('http')}://{parts.netloc}"]
