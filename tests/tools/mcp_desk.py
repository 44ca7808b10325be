"""A notes desk as an MCP server, for tests: `python mcp_desk.py stdio` or `python mcp_desk.py http PORT [TOKEN]`."""

from __future__ import annotations

import os
import sys

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations

desk = MCPServer("notes", log_level="CRITICAL")


@desk.tool(annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@desk.tool()
def refuse() -> str:
    """Always fails."""
    raise ValueError("no such note")


@desk.tool()
async def slow(seconds: float) -> str:
    """Wait."""
    await anyio.sleep(seconds)
    return "waited"


@desk.tool()
def leave() -> str:
    """End the server without a word."""
    os._exit(3)


@desk.tool()
async def learn(tool: str, context: Context) -> str:
    """Add a tool of this name."""

    def learned() -> str:
        """Something new."""
        return "new"

    desk.add_tool(learned, name=tool)
    await context.notify_tools_changed()
    return "learned"


class _Guarded:
    """Lets requests with the right token in, and sends those for /elsewhere to another origin."""

    def __init__(self, app, token: str) -> None:
        self._app, self._token = app, f"Bearer {token}".encode()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and scope["path"] == "/elsewhere":
            location = (b"location", b"http://localhost:1/mcp")
            await send({"type": "http.response.start", "status": 307, "headers": [location]})
            await send({"type": "http.response.body"})
        elif scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != self._token:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body"})
        else:
            await self._app(scope, receive, send)


def main() -> None:
    if sys.argv[1] == "stdio":
        desk.run("stdio")
        return
    import uvicorn

    app = desk.streamable_http_app()
    if len(sys.argv) > 3:
        app = _Guarded(app, sys.argv[3])
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[2]), log_level="critical", timeout_graceful_shutdown=1
    )


if __name__ == "__main__":
    main()
