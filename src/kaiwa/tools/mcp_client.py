"""One connection to an MCP server over the `mcp` package: list, call, and hear that the list has changed.

Knows the package and its errors, which it turns into kaiwa's values; knows no conversation. The package is
imported when the first connection is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from kaiwa.errors import MissingPackage
from kaiwa.events.items import HttpError, ListedTool, McpError, ProtocolError, ToolExecutionError
from kaiwa.tools.mcp_servers import SETTING, McpServer
from kaiwa.tools.results import write_result

if TYPE_CHECKING:
    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp.types import CallToolResult, ContentBlock

MAX_TOOLS: Final = 256
MAX_SCHEMA_BYTES: Final = 65_536
_MAX_PAGES: Final = 32
_CONNECT_S: Final = 10.0
_READ_S: Final = 300.0  # a server may hold a stream open and say nothing for long
_CONNECTION_CLOSED: Final = -32000
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0

_log = logging.getLogger(__name__)


def require_mcp(setting: str = SETTING) -> None:
    """Raise MissingPackage unless MCP servers can be reached."""
    try:
        import mcp  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise MissingPackage(setting, "mcp", "mcp") from None
    # It writes the address of every request at level info.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


# How far a call is, from 0 to 1, and a text that may be empty.
Progress = Callable[[float, str], None]


class ConnectionLost(Exception):
    """The server went away: a new connection is needed."""


class McpConnection:
    """An open connection. Calls may run in parallel, from any task."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._news = asyncio.Event()
        self.lost = False

    async def list_tools(self) -> tuple[ListedTool, ...]:
        """Return the server's tools; leaves out what is too many or too large, and logs that."""
        tools: list[ListedTool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor, cache_mode="refresh")
            tools.extend(_listed(tool) for tool in page.tools)
            cursor = page.next_cursor
            if cursor is None or len(tools) > MAX_TOOLS:
                break
        fit = [tool for tool in tools if len(write_result(tool.input_schema, 1 << 30)) <= MAX_SCHEMA_BYTES]
        if len(fit) < len(tools) or len(fit) > MAX_TOOLS or cursor is not None:
            _log.warning("an MCP server lists too much", extra={"listed": len(tools), "bound": MAX_TOOLS})
        return tuple(fit[:MAX_TOOLS])

    async def call(
        self, name: str, arguments: dict[str, Any], within_s: float, progress: Progress
    ) -> tuple[str, McpError | None]:
        """Return what the model reads, and what went wrong. Raises nothing but cancellation."""
        from mcp import MCPError

        deadline = asyncio.timeout(within_s)
        try:
            async with deadline:
                result = await self._client.call_tool(name, arguments, progress_callback=_told(progress))
        except TimeoutError:
            text = f"The MCP server gave no answer within {within_s:g} seconds."
            return text, HttpError(code=504, message=text)
        except MCPError as fault:
            if fault.code != _CONNECTION_CLOSED:
                return fault.message, ProtocolError(code=fault.code, message=fault.message[:1000])
            return self._broken()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._broken()  # the library gave up the connection; nobody stopped the call
        except Exception as fault:  # noqa: BLE001 - the edge of a tool
            _log.warning("an MCP call broke off", extra={"error": type(fault).__name__})
            return self._broken()
        text = write_result(_words(result))
        return text, ToolExecutionError(message=text) if result.is_error else None

    def _broken(self) -> tuple[str, McpError]:
        self._lose()
        text = "The connection to the MCP server broke. Whether the call changed anything is unknown."
        return text, HttpError(code=502, message=text)

    def _lose(self) -> None:
        self.lost = True
        self._news.set()

    def note_change(self) -> None:
        self._news.set()

    async def changed(self) -> None:
        """Return when the server says that its tools are others. Raises ConnectionLost."""
        await self._news.wait()
        self._news.clear()
        if self.lost:
            raise ConnectionLost

    async def listen(self) -> None:
        """Follow the server's own word of changes, where its protocol has that.

        A stream that ended, as proxies let it, is opened again: calls may run, so the connection stays.
        Whether it still is one shows when the tools are listed then.
        """
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self.note_change()
            except SubscriptionLost:
                pass
            except MCPError as fault:
                if fault.code != _CONNECTION_CLOSED:
                    return
            except (ListenNotSupportedError, TimeoutError):
                return  # an older server: it notifies, or never changes
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            self.note_change()


@asynccontextmanager
async def connected(server: McpServer) -> AsyncGenerator[McpConnection]:
    """Connect and hand over the connection. Raises what the package raises; see `reason`."""
    from mcp import Client
    from mcp import types as words

    opened: list[McpConnection] = []

    async def heed(message: object) -> None:
        if isinstance(message, words.ToolListChangedNotification) and opened:
            opened[0].note_change()

    async with AsyncExitStack() as stack:
        transport = await _transport(server, stack)
        client = await stack.enter_async_context(Client(transport, message_handler=heed, cache=None))
        opened.append(McpConnection(client))
        yield opened[0]


async def _transport(server: McpServer, stack: AsyncExitStack) -> Any:
    if server.command is not None:
        from mcp import StdioServerParameters

        return StdioServerParameters(command=server.command, args=list(server.args), env=dict(server.env))
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    assert server.url is not None, "a server has a url or a command"
    timeout = httpx2.Timeout(_CONNECT_S, read=_READ_S)
    # Redirects to another origin are not followed: the operator allowed this one.
    http = httpx2.AsyncClient(headers=server.request_headers, timeout=timeout, follow_redirects=False)
    await stack.enter_async_context(http)
    return streamable_http_client(server.url, http_client=http)


def reason(fault: BaseException) -> str:
    """Return a sentence for a peer on why a connection failed, without addresses or internals."""
    causes = list(_causes(fault))
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return f"The MCP server refused the connection (HTTP {status})."
    kinds = {type(cause).__name__ for cause in causes}
    if "TimeoutError" in kinds or any(kind.endswith("Timeout") for kind in kinds):
        return "The MCP server gave no answer in time."
    if "MCPError" in kinds:
        return "The MCP server did not answer as one: check its URL and credentials."
    return "The MCP server cannot be reached."


def _causes(fault: BaseException) -> list[BaseException]:
    if isinstance(fault, BaseExceptionGroup):
        grouped = cast("BaseExceptionGroup[BaseException]", fault).exceptions
        return [cause for one in grouped for cause in _causes(one)]
    return [fault]


def _listed(tool: Any) -> ListedTool:
    annotations = tool.annotations
    return ListedTool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        annotations=annotations and annotations.model_dump(by_alias=True, exclude_none=True),
    )


def _told(report: Progress) -> ProgressFnT:
    """Return what the package calls. A server that names no total counts something: only its text helps."""

    async def heed(progress: float, total: float | None, message: str | None) -> None:
        report(progress / total if total else 0.0, message or "")

    return heed


def _words(result: CallToolResult) -> object:
    """Return what a model can read of a result: its texts, or its data when it has none."""
    if result.structured_content is not None and not result.content:
        return result.structured_content
    return "\n".join(_part(part) for part in result.content)


def _part(part: ContentBlock) -> str:
    text = getattr(part, "text", None)
    if isinstance(text, str):
        return text
    resource = getattr(part, "resource", None)
    inner = getattr(resource, "text", None)
    return inner if isinstance(inner, str) else f"({part.type}, which cannot be read as text)"
