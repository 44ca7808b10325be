"""The MCP servers of one conversation: connected while it needs them, called like tools.

Fits `kaiwa.interfaces.ToolServers`. Knows connections, deadlines and new tries; no session. A connection
lives in the task that serves its listing, so that cancelling the task closes it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from kaiwa.errors import ConfigError, ToolError
from kaiwa.events.items import HttpError, ListedTool, McpError, ToolExecutionError
from kaiwa.events.tools import ToolCall, ToolEvent, ToolListing, ToolProgress, ToolSettled, ToolsListed
from kaiwa.tools.context import ToolContext
from kaiwa.tools.mcp_client import McpConnection, connected, reason, require_mcp
from kaiwa.tools.mcp_servers import AllowedServers, McpServer

Report = Callable[[ToolsListed], Awaitable[None]]

OPEN_S: Final = 15.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
NO_SERVERS: Final = AllowedServers()

_log = logging.getLogger(__name__)


class McpServers:
    """`own` are the agent's servers, `allowed` says which a peer may name."""

    def __init__(self, own: Sequence[McpServer] = (), allowed: AllowedServers = NO_SERVERS) -> None:
        self._own = {server.label: server for server in own}
        self._allowed = allowed
        self._kept: dict[str, _Kept] = {}

    async def serve(self, listing: ToolListing, report: Report) -> None:
        """Connect, report the tools now and whenever they change, and stay connected until cancelled.

        A server of the agent's is tried again until it answers; a peer's is given up when the first try
        fails. Raises nothing.
        """
        listing_id = listing.listing_id
        try:
            server = self._find(listing)
        except (ToolError, ConfigError) as refusal:
            text = str(refusal)
            _log.warning("an MCP server was not connected", extra={"reason": type(refusal).__name__})
            await report(ToolsListed(listing_id=listing_id, error=text))
            return
        self._kept[listing_id] = kept = _Kept(listing_id, server, patient=listing.own)
        try:
            await kept.keep(report)
        finally:
            del self._kept[listing_id]

    async def run(self, call: ToolCall, report: Callable[[ToolEvent], None]) -> None:
        """Carry out the call; report exactly one ToolSettled. Raises nothing."""
        started = time.monotonic()
        kept = self._kept.get(str(call.listing_id))
        if kept is None:
            output, error = _failure("The MCP server is not part of this session any more.")
        else:
            output, error = await kept.call(call, ToolContext(call.call_id, None, _telling(call, report)))
        failed = error is not None
        report(ToolSettled(call_id=call.call_id, output=output, failed=failed, error=error))
        facts = {"tool": call.name[:64], "call_id": call.call_id, "failed": failed}
        _log.info("mcp call settled", extra={**facts, "elapsed_ms": (time.monotonic() - started) * 1000})

    def _find(self, listing: ToolListing) -> McpServer:
        server = self._own[listing.server.server_label] if listing.own else self._allowed.find(listing.server)
        require_mcp()
        return server


class _Kept:
    """A server that is connected, or about to be again."""

    def __init__(self, listing_id: str, server: McpServer, *, patient: bool) -> None:
        self._listing_id = listing_id
        self._server = server
        self._patient = patient
        self._pause_s = FIRST_PAUSE_S
        self._told: tuple[ListedTool, ...] | None = None
        self._connection: McpConnection | None = None
        self._open = asyncio.Event()

    async def keep(self, report: Report) -> None:
        """Stay connected. Returns only for a peer's server that could not be reached the first time."""
        while True:
            try:
                await self._stay(report)
            except Exception as fault:  # noqa: BLE001 - the edge of a tool: any library may fail in any way
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # A failure on the way out hid that we were cancelled.
                    raise asyncio.CancelledError from None
                facts = {"server_label": self._server.label, "reason": reason(fault)}
                _log.warning("an MCP server was lost", extra=facts)
                if self._told is None and not self._patient:
                    await report(ToolsListed(listing_id=self._listing_id, error=reason(fault)))
                    return
            finally:
                self._connection = None
                self._open.clear()
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    async def _stay(self, report: Report) -> None:
        async with asyncio.timeout(OPEN_S) as opening, connected(self._server) as connection:
            tools = await connection.list_tools()
            opening.reschedule(None)
            self._connection, self._pause_s = connection, FIRST_PAUSE_S
            self._open.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.listen())
                while True:
                    if tools != self._told:
                        self._told = tools
                        await report(ToolsListed(listing_id=self._listing_id, tools=tools))
                    await connection.changed()
                    tools = await connection.list_tools()

    async def call(self, call: ToolCall, context: ToolContext) -> tuple[str, McpError | None]:
        arguments = _object(call.arguments)
        if arguments is None:
            return _failure("The arguments are not one JSON object.")
        try:
            async with asyncio.timeout(min(OPEN_S, self._server.timeout_s)):
                await self._open.wait()
        except TimeoutError:
            text = "The MCP server cannot be reached now; the call was not made."
            return text, HttpError(code=503, message=text)
        connection = self._connection
        assert connection is not None, "an open server has a connection"
        outcome = await connection.call(call.name, arguments, self._server.timeout_s, context.progress)
        if connection.lost and connection is self._connection:
            self._open.clear()  # the next call waits for the new connection
        return outcome


def _telling(call: ToolCall, report: Callable[[ToolEvent], None]) -> Callable[[float, str], None]:
    return lambda fraction, text: report(ToolProgress(call_id=call.call_id, fraction=fraction, text=text))


def _object(text: str) -> dict[str, Any] | None:
    try:
        given: Any = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", given) if isinstance(given, dict) else None


def _failure(text: str) -> tuple[str, McpError]:
    return text, ToolExecutionError(message=text)
