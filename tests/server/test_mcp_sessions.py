"""MCP through the whole house: a client's socket, a session, and an MCP server that is a real process."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.server.running import at_home, running
from tests.tools.test_mcp import DESK, http_desk
from websockets.asyncio.client import connect

from kaiwa.errors import ConfigError
from kaiwa.events.engine import Generate
from kaiwa.events.items import FunctionCallOutput
from kaiwa.server.conversations import Admitted, HostAnswerer, Parts
from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.scripted import ScriptedEngine, answering, calling, last_text
from kaiwa.tools.agent import Agent
from kaiwa.tools.mcp_servers import McpServer

COMMAND = {"command": sys.executable, "args": [str(DESK), "stdio"]}
SUM = '{"a":20,"b":22}'


def adding(command):
    """Add once, then say what came of it."""
    if not isinstance(command, Generate):
        return ()
    if command.history and isinstance(command.history[-1], FunctionCallOutput):
        return answering(command, last_text(command))
    name = next((tool.name for tool in command.tools if tool.name.endswith("add")), None)
    return answering(command, "no tool") if name is None else calling(command, name, SUM)


class Client:
    def __init__(self, socket) -> None:
        self._socket = socket
        self.frames: list[dict] = []

    async def send(self, kind: str, **fields) -> None:
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str, item: str = "") -> dict:
        async with asyncio.timeout(30):
            while True:
                frame = json.loads(await self._socket.recv())
                self.frames.append(frame)
                if frame["type"] == kind and item in frame.get("item", {}).get("type", ""):
                    return frame

    async def use(self, *tools: dict) -> dict:
        session = {"type": "realtime", "output_modalities": ["text"], "tools": list(tools)}
        await self.send("session.update", session=session)
        return (await self.until("conversation.item.done", "mcp_list_tools"))["item"]

    async def ask(self) -> str:
        await self.send("response.create")
        done = await self.until("response.done")
        return "".join(
            part["text"] for item in done["response"]["output"] for part in item.get("content", ())
        )


class ForAgent(HostAnswerer):
    """Serves one agent, whichever was asked for."""

    def __init__(self, settings, engine_for, agent: Agent | None) -> None:
        super().__init__(settings, engine_for)
        self._agent = agent

    async def open(self, admitted: Admitted) -> Parts:
        return await super().open(replace(admitted, agent=self._agent or admitted.agent))


@asynccontextmanager
async def called(tmp_path, agent: Agent | None = None, **given):
    """Dial a server with these settings."""
    settings = at_home(tmp_path, **given)
    answerer = ForAgent(settings, lambda _: ScriptedEngine(adding), agent)
    async with (
        running(settings, answerer) as house,
        connect(f"ws{house.addresses[0][4:]}/v1/realtime?model=gpt-realtime") as socket,
    ):
        yield Client(socket)


async def test_a_client_uses_a_server_that_the_operator_named(tmp_path):
    named = json.dumps({"notes": COMMAND})
    async with called(tmp_path, mcp_servers=named) as client:
        listed = await client.use({"type": "mcp", "server_label": "notes", "require_approval": "never"})
        assert "add" in {tool["name"] for tool in listed["tools"]}
        await client.send(
            "conversation.item.create",
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "add"}]},
        )
        await client.ask()
        assert (await client.until("conversation.item.done", "mcp_call"))["item"]["output"] == "42"
        assert await client.ask() == "42"
        check_transcript(client.frames)


async def test_a_client_names_a_url_that_is_allowed_and_approves_the_call(tmp_path):
    with http_desk("hush") as port:
        url = f"http://127.0.0.1:{port}/mcp"
        async with called(tmp_path, mcp_servers=f"https://else.example/mcp, {url}") as client:
            await client.use(
                {
                    "type": "mcp",
                    "server_label": "n",
                    "server_url": url,
                    "authorization": "hush",
                    "allowed_tools": ["add"],
                }
            )
            await client.ask()
            request = next(
                frame["item"]
                for frame in client.frames
                if frame.get("item", {}).get("type") == "mcp_approval_request"
            )
            answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
            await client.send("conversation.item.create", item=answer)
            assert (await client.until("conversation.item.done", "mcp_call"))["item"]["output"] == "42"
            assert "hush" not in str(client.frames)
            check_transcript(client.frames)


async def test_a_url_that_is_not_allowed_is_never_called_and_the_session_goes_on(tmp_path):
    async with called(tmp_path) as client:
        listed = await client.use(
            {"type": "mcp", "server_label": "n", "server_url": "http://169.254.169.254/mcp"}
        )
        assert listed["tools"] == [] and "KAIWA_MCP_SERVERS" in listed["error"]
        assert await client.ask() == "no tool"
        check_transcript(client.frames)


async def test_the_agent_s_own_servers_answer_every_client_in_one_go(tmp_path):
    agent = Agent("desk", "Add.", mcp=[McpServer("notes", command=sys.executable, args=(str(DESK), "stdio"))])
    async with called(tmp_path, agent) as client:
        await client.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
        async with asyncio.timeout(30):
            while await client.ask() == "no tool":  # its server is not listed yet
                pass
        await client.until("response.done")
        assert [frame["text"] for frame in client.frames if frame["type"].endswith("text.done")][-1] == "42"
        shown = {frame["type"] for frame in client.frames}
        shown |= {frame["item"]["type"] for frame in client.frames if "item" in frame}
        assert not [kind for kind in shown if "mcp" in kind]
        check_transcript(client.frames)


@pytest.mark.parametrize(
    "value", ["{", "nonsense", '{"a": {"shell": "x"}}', '{"a b": "http://x/"}', "ftp://x/"]
)
def test_servers_that_cannot_be_used_stop_the_start(tmp_path, value):
    with pytest.raises(ConfigError):
        HostAnswerer(at_home(tmp_path, mcp_servers=value), lambda _: ScriptedEngine())
