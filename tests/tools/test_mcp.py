"""MCP servers that are real processes: over stdio and over streamable HTTP, from listing to loss."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kaiwa.events.config import McpTool
from kaiwa.events.items import HttpError, ToolExecutionError
from kaiwa.events.tools import ToolCall, ToolListing, ToolSettled, ToolsListed
from kaiwa.tools.mcp import McpServers
from kaiwa.tools.mcp_servers import AllowedServers, McpServer, read_servers

DESK = Path(__file__).with_name("mcp_desk.py")
PATIENCE_S = 30.0
STDIO = McpServer("notes", command=sys.executable, args=(str(DESK), "stdio"), timeout_s=10.0)


@contextlib.contextmanager
def http_desk(*extra: str, port: int = 0):
    """Start the desk and yield its port once it answers."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(DESK), "http", str(port), *extra])
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "the desk does not answer"
                time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


class Line:
    """One conversation's MCP servers, and what they report."""

    def __init__(self, servers: McpServers) -> None:
        self.servers = servers
        self.told: asyncio.Queue[ToolsListed] = asyncio.Queue()

    async def heard(self) -> ToolsListed:
        return await asyncio.wait_for(self.told.get(), PATIENCE_S)

    async def call(self, name: str, **arguments: object) -> ToolSettled:
        return await self.call_raw(name, json.dumps(arguments))

    async def call_raw(self, name: str, arguments: str, listing_id: str = "list_1") -> ToolSettled:
        reports: list[ToolSettled] = []
        call = ToolCall(call_id="c", name=name, arguments=arguments, response_id="r", listing_id=listing_id)
        await asyncio.wait_for(self.servers.run(call, reports.append), PATIENCE_S)
        assert len(reports) == 1
        return reports[0]


@contextlib.asynccontextmanager
async def line_to(server: McpServer | McpTool, allowed: AllowedServers | None = None):
    """Serve one listing as the runner does; leaving ends it."""
    own = isinstance(server, McpServer)
    line = Line(McpServers((server,) if own else (), allowed or AllowedServers()))
    entry = McpTool(server_label=server.label) if isinstance(server, McpServer) else server
    listing = ToolListing(listing_id="list_1", server=entry, own=own)
    serving = asyncio.create_task(line.servers.serve(listing, line.told.put))
    try:
        yield line
    finally:
        serving.cancel()
        await asyncio.wait_for(asyncio.gather(serving, return_exceptions=True), PATIENCE_S)


@contextlib.asynccontextmanager
async def line_over(way: str):
    if way == "stdio":
        async with line_to(STDIO) as line:
            yield line
    else:
        with http_desk() as port:
            async with line_to(McpServer("notes", url=f"http://127.0.0.1:{port}/mcp")) as line:
                yield line


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_tools_are_listed_called_and_fail_with_what_the_server_says(way):
    async with line_over(way) as line:
        told = await line.heard()
        by_name = {tool.name: tool for tool in told.tools}
        assert told.error is None and set(by_name) == {"add", "refuse", "slow", "leave", "learn"}
        assert by_name["add"].annotations == {"readOnlyHint": True}
        assert set(by_name["add"].input_schema["properties"]) == {"a", "b"}

        assert await line.call("add", a=1, b=2) == ToolSettled(call_id="c", output="3")
        refused = await line.call("refuse")
        assert refused.failed and isinstance(refused.error, ToolExecutionError)
        wrong = await line.call("add", a="x", b=1)
        assert wrong.failed and "a" in wrong.output
        assert (await line.call_raw("add", "[1]")).error == ToolExecutionError(
            message="The arguments are not one JSON object."
        )
        assert (await line.call_raw("add", "{}", listing_id="list_0")).failed


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_calls_run_beside_each_other_and_one_cancelled_leaves_the_others(way):
    async with line_over(way) as line:
        await line.heard()
        began = time.monotonic()
        stopped = asyncio.create_task(line.call("slow", seconds=20))
        others = [asyncio.create_task(line.call("slow", seconds=1.0)) for _ in range(4)]
        await line.call("add", a=1, b=1)
        stopped.cancel()
        assert [one.output for one in await asyncio.gather(*others)] == ["waited"] * 4
        assert time.monotonic() - began < 3.5
        with pytest.raises(asyncio.CancelledError):
            await stopped


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_a_changed_list_is_told_again(way):
    async with line_over(way) as line:
        await line.heard()
        learned = await line.call("learn", tool="sing")
        assert learned.output == "learned", learned
        assert "sing" in {tool.name for tool in (await line.heard()).tools}
        assert (await line.call("sing")).output == "new"


async def test_a_server_that_dies_fails_its_call_and_is_connected_again():
    async with line_to(STDIO) as line:
        await line.heard()
        lost = await line.call("leave")
        assert lost.failed and isinstance(lost.error, HttpError)
        assert (await line.call("add", a=2, b=2)).output == "4"


async def test_a_server_that_restarts_is_connected_again_over_http():
    with http_desk() as port:
        async with line_to(McpServer("notes", url=f"http://127.0.0.1:{port}/mcp")) as line:
            await line.heard()
            lost = await line.call("leave")
            assert lost.failed and isinstance(lost.error, HttpError)
            with http_desk(port=port):
                assert (await line.call("add", a=2, b=2)).output == "4"


async def test_a_call_that_takes_too_long_is_an_error():
    quick = McpServer("notes", command=sys.executable, args=(str(DESK), "stdio"), timeout_s=0.5)
    async with line_to(quick) as line:
        await line.heard()
        late = await line.call("slow", seconds=20)
        assert late.error == HttpError(code=504, message="The MCP server gave no answer within 0.5 seconds.")


async def test_a_peer_reaches_only_what_the_operator_allows():
    with http_desk("open sesame") as port:
        url = f"http://127.0.0.1:{port}/mcp"
        wanted = McpTool(server_label="notes", server_url=url, authorization="open sesame")
        async with line_to(wanted) as line:
            assert "KAIWA_MCP_SERVERS" in str((await line.heard()).error)
        async with line_to(wanted, read_servers(url)) as line:
            assert (await line.heard()).error is None
            assert (await line.call("add", a=1, b=2)).output == "3"
        stranger = McpTool(server_label="notes", server_url=url)
        async with line_to(stranger, read_servers(url)) as line:
            assert (await line.heard()).error is not None
        away = McpTool(server_label="notes", server_url=f"http://127.0.0.1:{port}/elsewhere")
        async with line_to(away, read_servers(f"http://127.0.0.1:{port}/*")) as line:
            assert (await line.heard()).error is not None


async def test_a_server_that_cannot_be_reached_is_told_and_given_up():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
        async with line_to(McpTool(server_label="notes", server_url=url), read_servers(url)) as line:
            assert (await line.heard()).error == "The MCP server cannot be reached."
    missing = AllowedServers({"notes": McpServer("notes", command="/nowhere/at-all")})
    async with line_to(McpTool(server_label="notes"), missing) as line:
        assert (await line.heard()).error == "The MCP server cannot be reached."


async def test_no_server_process_outlives_its_conversation(tmp_path):
    mark = tmp_path / "alive"
    script = f"import os,runpy,sys; open({str(mark)!r},'w').write(str(os.getpid())); sys.argv=['desk','stdio']; runpy.run_path({str(DESK)!r},run_name='__main__')"
    async with line_to(McpServer("notes", command=sys.executable, args=("-c", script))) as line:
        await line.heard()
    process = Path("/proc") / mark.read_text()
    assert not process.exists() or "zombie" in (process / "status").read_text()


async def test_no_address_and_no_secret_reaches_the_log(caplog):
    caplog.set_level(logging.INFO)
    with http_desk("hush") as port:
        url = f"http://127.0.0.1:{port}/mcp"
        wanted = McpTool(
            server_label="notes", server_url=url, authorization="hush", headers={"X-Key": "hush"}
        )
        async with line_to(wanted, read_servers(url)) as line:
            await line.heard()
            await line.call("add", a=4711, b=1)
            await line.call("leave")
        async with line_to(wanted, read_servers(url)) as line:
            assert (await line.heard()).error == "The MCP server cannot be reached."
    said = "\n".join(f"{vars(record)} {record.getMessage()}" for record in caplog.records)
    assert "mcp call settled" in said
    for secret in (str(port), "127.0.0.1", "hush", "4711"):
        assert secret not in said


async def test_a_server_that_ends_while_nothing_is_called_is_connected_again(tmp_path):
    mark = tmp_path / "pid"
    script = f"import os,runpy,sys; open({str(mark)!r},'w').write(str(os.getpid())); sys.argv=['desk','stdio']; runpy.run_path({str(DESK)!r},run_name='__main__')"
    async with line_to(McpServer("notes", command=sys.executable, args=("-c", script))) as line:
        await line.heard()
        first = mark.read_text()
        os.kill(int(first), signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while mark.read_text() in ("", first):
            assert time.monotonic() < deadline, "no new connection"
            await asyncio.sleep(0.05)
        assert (await line.call("add", a=2, b=2)).output == "4"
