"""The line that breakages are planted on: without one, clients do not notice it."""

from __future__ import annotations

import pytest
from tests.clients.complete import Client, in_node, in_python
from tests.clients.line import broken_line
from tests.clients.place import Place
from tests.clients.program import run_program
from tests.clients.turns import check
from tests.contract.breakages import Breakage

CLIENTS = [
    in_python(None, "openai", "openai_python.py", "AsyncOpenAI", "AsyncAzureOpenAI, key"),
    in_node("rt-client", "rt-client.mjs", "LowLevelRTClient, key", "RTClient, token"),
    in_node("openai-realtime-api", "openai-realtime-api.mjs", "socket of ws"),
    in_node("@openai/agents-realtime", "agents-realtime.mjs", "RealtimeSession"),
]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_a_line_without_a_breakage_changes_nothing(local_server: Place, client: Client) -> None:
    async with broken_line(local_server, Breakage()) as place:
        done = await run_program(client.command, place, client.surfaces, ["text"])
    check(done, client.surfaces, ["text"])
