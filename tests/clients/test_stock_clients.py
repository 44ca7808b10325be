"""The official clients, unmodified: each completes every turn on every engine."""

from __future__ import annotations

from tests.clients.complete import BETA, FIRST_PREVIEW, GA, PREVIEW, completes_every_turn, in_node, in_python
from tests.clients.place import Place
from tests.contract.breakages import Breakage, put
from tests.contract.manifest import rule

failed_answers = put("response.done", "response.status", "failed")


@rule("K-304", broken_by=failed_answers)
async def test_openai_python_sync_and_async_in_both_dialects_and_on_azure(
    place: Place, planted: Breakage | None
) -> None:
    surfaces = {
        "AsyncOpenAI": GA,
        "AsyncOpenAI, Azure v1": GA,
        "AsyncOpenAI, beta": BETA,
        "AsyncAzureOpenAI, key": PREVIEW,
        "AsyncAzureOpenAI, Entra": PREVIEW,
        "AsyncAzureOpenAI, beta": PREVIEW,
        "OpenAI": GA,
        "OpenAI, beta": BETA,
        "AzureOpenAI, key": PREVIEW,
    }
    client = in_python(None, "openai", "openai_python.py", surfaces)
    await completes_every_turn(client, place, planted)


@rule("K-305", broken_by=failed_answers)
async def test_openai_node_over_tls_and_the_socket_of_ws(place: Place, planted: Breakage | None) -> None:
    surfaces = {
        "OpenAIRealtimeWS": GA,
        "OpenAIRealtimeWS, Azure v1": GA,
        "OpenAIRealtimeWS, beta": BETA,
        "OpenAIRealtimeWS, Azure key": PREVIEW,
        "OpenAIRealtimeWS, Azure token": PREVIEW,
    }
    await completes_every_turn(in_node("openai", "openai-node.mjs", surfaces), place, planted)


@rule("K-305", broken_by=failed_answers)
async def test_openai_node_over_tls_and_the_global_websocket(place: Place, planted: Breakage | None) -> None:
    surfaces = {
        "OpenAIRealtimeWebSocket": GA,
        "OpenAIRealtimeWebSocket, beta": BETA,
        "OpenAIRealtimeWebSocket, Azure key": PREVIEW,
        "OpenAIRealtimeWebSocket, Azure token": PREVIEW,
    }
    client = in_node("openai", "openai-node.mjs", surfaces, flags=("--experimental-websocket",))
    await completes_every_turn(client, place, planted)


@rule("K-306", broken_by=failed_answers)
async def test_rt_client_on_both_levels(place: Place, planted: Breakage | None) -> None:
    surfaces = {
        "LowLevelRTClient, key": FIRST_PREVIEW,
        "LowLevelRTClient, token": FIRST_PREVIEW,
        "RTClient, key": FIRST_PREVIEW,
        "RTClient, token": FIRST_PREVIEW,
    }
    await completes_every_turn(in_node("rt-client", "rt-client.mjs", surfaces), place, planted)


@rule("K-307", broken_by=failed_answers)
async def test_openai_realtime_api_over_the_socket_of_ws(place: Place, planted: Breakage | None) -> None:
    client = in_node("openai-realtime-api", "openai-realtime-api.mjs", {"socket of ws": BETA})
    await completes_every_turn(client, place, planted)


@rule("K-307", broken_by=failed_answers)
async def test_openai_realtime_api_over_the_global_websocket(place: Place, planted: Breakage | None) -> None:
    flags = ("--experimental-websocket",)
    client = in_node(
        "openai-realtime-api", "openai-realtime-api.mjs", {"global WebSocket": BETA}, flags=flags
    )
    await completes_every_turn(client, place, planted)


@rule("K-308", broken_by=failed_answers)
async def test_agents_realtime_keeps_its_history_and_counts_tokens(
    place: Place, planted: Breakage | None
) -> None:
    client = in_node("@openai/agents-realtime", "agents-realtime.mjs", {"RealtimeSession": GA})
    done = {one.turn: one.saw for one in await completes_every_turn(client, place, planted)}
    assert done["text"]["roles"] == ["user", "assistant"]
    assert done["audio"]["roles"] == ["user", "assistant"]
    assert done["tool"]["roles"][0] == "user" and "function_call" in done["tool"]["roles"]
    assert "晴れ" in done["tool"]["result"]
    assert all(saw["tokens"] > 0 for saw in done.values())
