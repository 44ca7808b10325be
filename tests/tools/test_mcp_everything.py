"""A stock MCP server from npm, as a process: `@modelcontextprotocol/server-everything`, over both transports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.server.running import at_home, running
from tests.server.test_mcp_sessions import Client, ForAgent
from tests.tools.test_mcp import PATIENCE_S, Line, line_to
from websockets.asyncio.client import connect

from kaiwa.events.engine import Generate
from kaiwa.events.items import FunctionCallOutput
from kaiwa.events.tools import ToolCall, ToolEvent, ToolProgress, ToolSettled
from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.scripted import ScriptedEngine, answering, calling, last_text
from kaiwa.tools.agent import Agent
from kaiwa.tools.mcp_servers import McpServer

pytestmark = pytest.mark.clients
PACKAGE = "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
PROGRAM = Path(__file__).parents[1] / "clients" / "js" / PACKAGE
LONG = "trigger-long-running-operation"
CHANGING = PROGRAM.parents[4] / "mcp-changing.mjs"


def node() -> str:
    found = shutil.which("node")
    assert found and PROGRAM.is_file(), "node or the npm server is missing: run scripts/setup-clients.sh"
    return found


def over_stdio(*more: str) -> McpServer:
    return McpServer("everything", command=node(), args=(str(PROGRAM), "stdio", *more), timeout_s=20)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def over_http(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [node(), str(PROGRAM), "streamableHttp"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={**os.environ, "PORT": str(port)}, **quiet) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < deadline, "it does not answer"
                    time.sleep(0.05)
            yield process
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def line_over(way: str) -> AsyncIterator[Line]:
    if way == "stdio":
        async with line_to(over_stdio()) as line:
            yield line
        return
    port = free_port()
    with over_http(port):
        async with line_to(McpServer("everything", url=f"http://127.0.0.1:{port}/mcp")) as line:
            yield line


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_its_tools_are_listed_with_their_schemas(way: str) -> None:
    async with line_over(way) as line:
        told = await line.heard()
        by_name = {tool.name: tool for tool in told.tools}
        assert told.error is None and {"echo", "get-sum", LONG} <= set(by_name)
        assert by_name["get-sum"].input_schema["required"] == ["a", "b"]
        assert by_name[LONG].annotations is not None and by_name[LONG].annotations["readOnlyHint"] is True


async def test_a_list_that_a_server_of_the_npm_package_changes_is_told_again() -> None:
    server = McpServer("changing", command=node(), args=(str(CHANGING),), timeout_s=20)
    async with line_to(server) as line:
        assert {tool.name for tool in (await line.heard()).tools} == {"learn"}
        assert not (await line.call("learn", tool="sing")).failed
        assert {tool.name for tool in (await line.heard()).tools} == {"learn", "sing"}
        assert "la la" in (await line.call("sing")).output


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_a_long_call_tells_how_far_it_is_and_others_run_beside_it(way: str) -> None:
    async with line_over(way) as line:
        await line.heard()
        told: list[ToolEvent] = []
        arguments = json.dumps({"duration": 1.2, "steps": 4})
        call = ToolCall(call_id="long", name=LONG, arguments=arguments, response_id="r", listing_id="list_1")
        running_ = asyncio.create_task(line.servers.run(call, told.append))
        beside = await asyncio.gather(*(line.call("get-sum", a=number, b=1) for number in range(4)))
        assert not running_.done() and all(str(n + 1) in one.output for n, one in enumerate(beside))
        await asyncio.wait_for(running_, PATIENCE_S)
        assert [event.fraction for event in told if isinstance(event, ToolProgress)] == [0.25, 0.5, 0.75, 1.0]
        assert isinstance(told[-1], ToolSettled) and "completed" in told[-1].output and not told[-1].failed


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_what_it_refuses_is_the_output_of_the_call(way: str) -> None:
    async with line_over(way) as line:
        await line.heard()
        wrong = await line.call("get-sum", a="many", b=1)
        assert wrong.failed and wrong.error is not None and "expected number" in wrong.output
        assert (await line.call("no-such-tool")).failed
        assert "hi" in (await line.call("echo", message="hi")).output


async def test_a_killed_process_is_started_again_and_answers() -> None:
    mark = f"--mark={uuid4().hex}"
    async with line_to(over_stdio(mark)) as line:
        await line.heard()
        before = processes_with(mark)
        assert before
        for process in before:
            os.kill(process, signal.SIGKILL)
        # Whichever notices first, the call or the connection: the call after it is answered.
        first = await line.call("echo", message="one")
        assert first.failed or "one" in first.output
        assert "two" in (await line.call("echo", message="two")).output
        assert not before & processes_with(mark)


def processes_with(argument: str) -> set[int]:
    tree = subprocess.run(["ps", "-wweo", "pid=,args="], check=True, capture_output=True, text=True)
    rows = [line.split() for line in tree.stdout.splitlines()]
    return {int(row[0]) for row in rows if argument in row}


async def test_a_restarted_server_is_connected_again_over_http() -> None:
    port = free_port()
    server = McpServer("everything", url=f"http://127.0.0.1:{port}/mcp")
    with over_http(port) as process:
        async with line_to(server) as line:
            await line.heard()
            process.kill()
            process.wait()
            lost = await line.call("echo", message="one")
            assert lost.failed
            with over_http(port):
                assert "two" in (await line.call("echo", message="two")).output


def adding(command: Any) -> Any:
    """Echo, then add, then say what came of both."""
    if not isinstance(command, Generate):
        return ()
    outputs = [item for item in command.history if isinstance(item, FunctionCallOutput)]
    names = {tool.name for tool in command.tools}
    if "echo" not in names:
        return answering(command, "no tool")
    if not outputs:
        return calling(command, "echo", '{"message":"hello"}')
    if len(outputs) == 1:
        return calling(command, "get-sum", '{"a":20,"b":22}')
    return answering(command, last_text(command))


async def test_a_conversation_calls_one_tool_after_the_other(tmp_path: Path) -> None:
    agent = Agent("desk", "Add.", mcp=[over_stdio()])
    settings = at_home(tmp_path)
    answerer = ForAgent(settings, lambda _: ScriptedEngine(adding), agent)
    async with (
        running(settings, answerer) as house,
        connect(f"ws{house.addresses[0][4:]}/v1/realtime?model=gpt-realtime") as socket_,
    ):
        client = Client(socket_)
        await client.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
        async with asyncio.timeout(PATIENCE_S):
            while await client.ask() == "no tool":  # its server is not listed yet
                pass
            while not any("42" in str(frame.get("text")) for frame in client.frames):
                await client.until("response.done")
        outputs = [frame["item"]["output"] for frame in client.frames if is_output(frame)]
        assert len(set(outputs)) == 2 and "hello" in outputs[0] and "42" in outputs[-1]
        check_transcript(client.frames)


def is_output(frame: dict[str, Any]) -> bool:
    return frame["type"] == "conversation.item.done" and frame["item"].get("type") == "function_call_output"
