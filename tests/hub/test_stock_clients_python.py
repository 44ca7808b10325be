"""The two clients of SignalR for Python, unchanged, each over what it can speak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from tests.clients.complete import in_python
from tests.clients.outcomes import HUB, recorded
from tests.hub.cutting import Line, line_to
from tests.hub.house import serving
from tests.hub.stock import Playground, named_by_token

from kaiwa.hub import HubOptions

pytestmark = pytest.mark.clients
PATIENCE_S = 40.0
SAW = {
    "sum": 5,
    "counted": list(range(30)),
    "collected": 45,
    "told": "to the group",
    "another": True,
    "again": 9,
}


async def _run(package: str, program: str, transport: str, protocol: str, *, uploads: bool = True) -> None:
    surface = {f"{transport}, {protocol}": "SignalR"}
    client = in_python("signalr", package, program, surface)
    acts = ("calls" if uploads else "calls but uploads", "reconnect")
    with recorded(client.name, client.version, HUB, surface, acts):
        async with _line() as line:
            job = {"url": f"http://127.0.0.1:{line.port}/play", "token": "ada"}
            job |= {"transport": transport, "protocol": protocol, "uploads": uploads}
            saw = await _saw(client.command, line, job)
        _check(saw, uploads)


def _check(saw: dict[str, Any], uploads: bool) -> None:
    assert saw.pop("asked", "pysignalr says hello") == "pysignalr says hello"
    assert saw == {name: value for name, value in SAW.items() if uploads or name != "collected"}


@asynccontextmanager
async def _line() -> AsyncIterator[Line]:
    hub = Playground(HubOptions(authenticate=named_by_token))
    app = Starlette(routes=hub.routes("/play"))
    async with serving(app) as port, hub.running(), line_to(port) as line:
        yield line


async def _saw(command: Any, line: Line, job: dict[str, Any]) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*map(str, command), stdin=pipe, stdout=pipe)
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            while said := await process.stdout.readline():
                told = json.loads(said)
                if "cut" in told:
                    line.cut()
                    continue
                assert "failed" not in told, told["failed"]
                return told["saw"]
            raise AssertionError(f"the client said nothing and ended with {await process.wait()}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
async def test_pysignalr(protocol: str) -> None:
    await _run("pysignalr", "pysignalr_hub.py", "WebSockets", protocol)


@pytest.mark.parametrize(
    ("transport", "protocol", "uploads"),
    [
        ("WebSockets", "json", True),
        ("WebSockets", "messagepack", False),  # it leaves the id out where the protocol has a place for it
        ("ServerSentEvents", "json", True),
    ],
)
async def test_signalrcore(transport: str, protocol: str, uploads: bool) -> None:
    await _run("signalrcore", "signalrcore_hub.py", transport, protocol, uploads=uploads)
