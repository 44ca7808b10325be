"""The service and its publisher against a description of the data plane, written from what is published of it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from tests.hub.azure_house import KEY
from tests.hub.house import serving

from kaiwa.hub.azure import AzureSignalR, LocalService, read_connection_string
from kaiwa.hub.azure.service.data_plane import data_plane
from kaiwa.hub.azure.service.local import Keys
from kaiwa.hub.azure.tokens import signed

pytestmark = pytest.mark.clients

SCHEMA = Path(__file__).parent.parent / "data/signalr/data_plane.json"
CONFIG = Path(__file__).with_name("schemathesis.toml")
PATIENCE_S = 60.0


def _with_token(app: Any) -> Any:
    """A token is for one address, so each request gets its own on the way."""

    async def entered(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["raw_path"].decode("latin-1").partition("?")[0]
            bearer = signed(f"http://service{path}", KEY, 60).encode()
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer " + bearer)]}
        await app(scope, receive, send)

    return entered


async def test_every_answer_is_as_the_description_says(tmp_path: Path) -> None:
    local = LocalService(Keys(KEY))
    app = Starlette(routes=data_plane(local, lambda request: str(request.base_url).rstrip("/")))
    async with local.running(), serving(_with_token(app)) as port:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *("run", str(SCHEMA), "--url", f"http://127.0.0.1:{port}"),
            # Broken requests are tried by hand in test_azure_service: a minute of them would find no more.
            *("--mode", "positive", "--phases", "fuzzing", "--checks", "all", "--max-examples", "2"),
            *("--seed", "5", "--workers", "1", "--no-color"),
        ]
        tried = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(PATIENCE_S):
            told, _ = await tried.communicate()
    assert tried.returncode == 0, told.decode()


async def test_what_the_publisher_sends_fits_the_description() -> None:
    """Every request of it: a described address, a message that fits, the newest version."""
    described = json.loads(SCHEMA.read_text("utf-8"))
    message = Draft202012Validator(
        {**described["components"]["schemas"]["PayloadMessage"], "components": described["components"]}
    )
    asked: list[tuple[str, str, str, bytes]] = []

    async def service(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        version = request.query_params["api-version"]
        asked.append((request.method.lower(), request.url.path, version, await request.body()))
        await Response(status_code=202)(scope, receive, send)

    async with serving(service) as port:
        text = f"Endpoint=http://127.0.0.1:{port};AccessKey={KEY};Version=1.0;"
        azure = AzureSignalR(read_connection_string(text), "chat")
        async with azure.running():
            clients = azure.clients
            for target in (clients.all, clients.client("c"), clients.group("g"), clients.user("u")):
                await target.send("token", "一", {"two": 2})
            await azure.groups.add("c", "g")
            await azure.groups.remove("c", "g")
    for method, path, version, body in asked:
        assert any(_fits(path, known) and method in described["paths"][known] for known in described["paths"])
        assert version == described["info"]["version"]
        if method == "post":
            message.validate(json.loads(body))
    assert len(asked) == 6


def _fits(path: str, known: str) -> bool:
    pairs = list(zip(path.split("/"), known.split("/"), strict=False))
    same = len(path.split("/")) == len(known.split("/"))
    return same and all(part == name or name.startswith("{") for part, name in pairs)
