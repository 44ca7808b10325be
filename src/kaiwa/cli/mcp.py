"""`kaiwa mcp`: an agent's tools as an MCP server, over stdio or streamable HTTP.

Knows settings, keys and addresses; what a call does is `kaiwa.tools.mcp_serving`'s. Over stdio standard
output belongs to the protocol: whatever people read goes to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from kaiwa.cli.serving import read_settings
from kaiwa.errors import ConfigError
from kaiwa.server.access import origin_fits
from kaiwa.server.directory import Directory
from kaiwa.server.doors import Doors
from kaiwa.server.failures import failure
from kaiwa.server.listening import HouseServer
from kaiwa.server.settings import Settings, is_loopback
from kaiwa.tools.agent import Agent
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.mcp_client import require_mcp
from kaiwa.tools.toolbox import AgentToolBox

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

DEFAULT_AGENT = "rentacar"
PATH = "/mcp"


@dataclass(frozen=True)
class McpOptions:
    """The options of the command; None: not given."""

    agent: str | None = None
    http: bool = False
    host: str | None = None
    port: int | None = None
    database: str | None = None
    client_confirms: bool = False


def run(options: McpOptions) -> None:
    """Serve until the client or the operator ends it. Raises ConfigError."""
    require_mcp("kaiwa mcp")
    agent = options.agent or read_settings().agent or DEFAULT_AGENT
    settings = read_settings(agent=agent, host=options.host, port=options.port, database=options.database)
    if options.http and not is_loopback(settings.host) and settings.api_key is None:
        raise ConfigError(
            "KAIWA_API_KEY",
            f"anybody could call the tools on {settings.host}.",
            "Set a key, or use 127.0.0.1.",
        )
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr)
    logging.getLogger("mcp").setLevel(logging.ERROR)  # its lines quote requests
    asyncio.run(_serve(options, settings))


async def _serve(options: McpOptions, settings: Settings) -> None:
    directory, jobs = Directory(settings), Jobs()
    try:
        server = _server(directory.default, jobs, options)
        await (_over_http(server, settings) if options.http else _over_stdio(server))
    finally:
        await jobs.finish()
        await directory.close()


def _server(agent: Agent, jobs: Jobs, options: McpOptions) -> Server[Any]:
    from kaiwa.tools.mcp_serving import tool_server

    box = AgentToolBox(agent, language=agent.language, jobs=jobs)
    return tool_server(agent, box, client_confirms=options.client_confirms)


async def _over_stdio(server: Server[Any]) -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def _over_http(server: Server[Any], settings: Settings) -> None:
    app = server.streamable_http_app(streamable_http_path=PATH, host=settings.host)
    app.add_middleware(Guarded, settings=settings)
    await HouseServer(app, settings, ready=_say_where).serve()


def _say_where(server: HouseServer) -> None:
    for address in server.addresses:
        sys.stderr.write(f"kaiwa mcp  {address}{PATH}\n")
    sys.stderr.flush()


class Guarded:
    """Lets in whom the house would let in: with a key where keys are asked for, and no foreign page."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._doors = Doors(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asking = HTTPConnection(scope)
        answer = self._app
        if not origin_fits(asking, self._settings.allowed_origins):
            text = "This origin may not connect. Add it to KAIWA_ALLOWED_ORIGINS."
            answer = failure(403, "insufficient_permissions", text)
        elif not await self._may_call(asking):
            answer = failure(401, "invalid_api_key", "Incorrect API key provided.")
        await answer(scope, receive, send)

    async def _may_call(self, asking: HTTPConnection) -> bool:
        visitor = await self._doors.visitor(asking)
        return visitor is not None and visitor.caller.may("tools")
