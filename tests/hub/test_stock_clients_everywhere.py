"""Microsoft's JavaScript clients of two versions, in node and in Chromium, over everything they can speak."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Browser
from starlette.applications import Starlette
from tests.clients.complete import HERE
from tests.clients.outcomes import HUB, recorded
from tests.clients.test_in_chromium import origin as served_files
from tests.hub.cutting import line_to
from tests.hub.house import serving
from tests.hub.pages import chromium, run_in_page
from tests.hub.stock import Playground, job_of, named_by_token, run_stock_client
from tests.hub.test_stock_clients import EVERYTHING, PLAIN

from kaiwa.hub import HubOptions, HubWebSocket

pytestmark = pytest.mark.clients
WAYS = [
    (transport, protocol)
    for transport in ("WebSockets", "ServerSentEvents", "LongPolling")
    for protocol in ("json", "messagepack")
    if (transport, protocol) != ("ServerSentEvents", "messagepack")
]
COUNT = 1000
CUTS = [20, 21, 22, 300, 700]
origin = served_files


def _version(version: int) -> str:
    package = "signalr-9" if version == 9 else "signalr"
    manifest = HERE / "js" / "node_modules" / "@microsoft" / package / "package.json"
    assert manifest.is_file(), "@microsoft/signalr is not installed; run scripts/setup.sh dev"
    found: str = json.loads(manifest.read_text(encoding="utf-8"))["version"]
    return found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


@asynccontextmanager
async def _hub(*origins: str, ws: Any = HubWebSocket) -> AsyncIterator[int]:
    hub = Playground(HubOptions(authenticate=named_by_token, origins=origins))
    async with serving(Starlette(routes=hub.routes("/play")), ws) as port, hub.running():
        yield port


def _acts(transport: str) -> dict[str, dict[str, Any]]:
    """What a client is asked to do over a transport; only WebSockets are ever resumed."""
    acts: dict[str, dict[str, Any]] = {"calls": {"act": "everything"}, "reconnect": {"act": "reconnect"}}
    if transport == "WebSockets":
        acts["stateful reconnect"] = {"act": "resume", "count": COUNT, "cuts": CUTS}
    return acts


def _check(name: str, saw: dict[str, Any]) -> None:
    if name == "calls":
        assert saw == EVERYTHING
    elif name == "reconnect":
        assert (saw["sum"], saw["ids"], saw["reconnects"]) == (4, 2, 1)
    else:
        assert saw["heard"] == list(range(COUNT)), "nothing lost, nothing twice, in order"
        assert saw["remembered"] == list(range(40))
        assert saw["ids"] == 1, "it is still the same connection"


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize(("transport", "protocol"), WAYS)
async def test_in_node(version: int, transport: str, protocol: str) -> None:
    acts, surface = _acts(transport), {f"{transport}, {protocol}": "SignalR"}
    with recorded(f"@microsoft/signalr {version} (JavaScript)", _version(version), HUB, surface, tuple(acts)):
        async with _hub() as port:
            for name, act in acts.items():
                given = {"version": version, "transport": transport, "protocol": protocol, **act}
                _check(name, await run_stock_client(f"http://127.0.0.1:{port}/play", **given))


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize(("transport", "protocol"), WAYS)
async def test_in_chromium(
    browser: Browser, origin: str, version: int, transport: str, protocol: str
) -> None:
    acts, surface = _acts(transport), {f"{transport}, {protocol}": "SignalR"}
    refused = 1 if transport == "LongPolling" else 0  # else the client never knows of the cut
    with recorded(f"@microsoft/signalr {version} (Chromium)", _version(version), HUB, surface, tuple(acts)):
        async with _hub(origin) as port, line_to(port) as line:
            for name, act in acts.items():
                given = {"version": version, "transport": transport, "protocol": protocol, **act}
                job = job_of(f"http://127.0.0.1:{line.port}/play", **given)
                cut = partial(line.cut, refused=refused)
                _check(name, await run_in_page(browser, origin, cut, job))


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
async def test_resuming_over_the_sockets_of_uvicorn(version: int, protocol: str) -> None:
    async with _hub(ws=PLAIN) as port:
        act = _acts("WebSockets")["stateful reconnect"]
        url = f"http://127.0.0.1:{port}/play"
        saw = await run_stock_client(url, version=version, protocol=protocol, **act)
    _check("stateful reconnect", saw)
