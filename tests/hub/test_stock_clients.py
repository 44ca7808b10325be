"""Microsoft's JavaScript client, unchanged, does everything it can with a hub."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from tests.hub.house import serving
from tests.hub.stock import Playground, named_by_token, run_stock_client

from kaiwa.hub import HubOptions, HubWebSocket
from kaiwa.server.handshake import AnsweredUpgrade

PLAIN = "websockets-sansio"
"""uvicorn's own WebSockets: the hub then writes by ASGI."""
EVERYTHING = {
    "user": "ada",
    "sum": 5,
    "nothing": "undefined",
    "person": {"name": "愛", "age": 8},
    "refused": "An unexpected error occurred invoking 'refuse' on the server. HubException: not today",
    "broken": "An unexpected error occurred invoking 'breakDown' on the server.",
    "unknown": "Unknown hub method 'nope'",
    "counted": list(range(300)),
    "total": 820,
    "loud": ["A", "B"],
    "asked": "first says hello",
    "heard": {
        "first": ["to the group", "to others", "to all", "to the user"],
        "second": ["to all", "to the user"],
    },
}


async def _saw(ws: Any = HubWebSocket, **job: Any) -> dict[str, Any]:
    hub = Playground(HubOptions(authenticate=named_by_token))
    async with serving(Starlette(routes=hub.routes("/play")), ws) as port, hub.running():
        return await run_stock_client(f"http://127.0.0.1:{port}/play", **job)


@pytest.mark.parametrize("ws", [HubWebSocket, AnsweredUpgrade, PLAIN], ids=["hub", "kaiwa", "uvicorn"])
async def test_the_client_does_everything_over_any_web_socket_of_uvicorn(ws: Any) -> None:
    assert await _saw(ws, act="everything") == EVERYTHING


async def test_a_killed_socket_loses_nothing_and_repeats_nothing() -> None:
    saw = await _saw(act="resume", count=400, cuts=[50, 51, 200])

    assert saw["heard"] == list(range(400))
    assert saw["remembered"] == list(range(40))
    assert saw["ids"] == 1, "it is still the same connection"
