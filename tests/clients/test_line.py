"""The line that breakages are planted on: without one, clients do not notice it."""

from __future__ import annotations

import pytest
from tests.clients.complete import BETA, FIRST_PREVIEW, GA, PREVIEW, Client, in_node, in_python
from tests.clients.line import broken_line
from tests.clients.place import Place
from tests.clients.program import run_program
from tests.clients.turns import check
from tests.contract.breakages import Breakage

CLIENTS = [
    in_python(None, "openai", "openai_python.py", {"AsyncOpenAI": GA, "AsyncAzureOpenAI, key": PREVIEW}),
    in_node(
        "rt-client",
        "rt-client.mjs",
        {"LowLevelRTClient, key": FIRST_PREVIEW, "RTClient, token": FIRST_PREVIEW},
    ),
    in_node("openai-realtime-api", "openai-realtime-api.mjs", {"socket of ws": BETA}),
    in_node("@openai/agents-realtime", "agents-realtime.mjs", {"RealtimeSession": GA}),
]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_a_line_without_a_breakage_changes_nothing(local_server: Place, client: Client) -> None:
    async with broken_line(local_server, Breakage()) as place:
        done = await run_program(client.command, place, list(client.surfaces), ["text"])
    check(done, list(client.surfaces), ["text"])
