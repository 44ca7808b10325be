"""`/openapi.json` and `/docs`: true to the table of routes, readable without scripts, and kept by the server.

schemathesis makes up requests from the document, fitting ones and others, sends them to a running server and
checks every answer against what the document says.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import aiohttp
from tests.server.running import at_home, running
from tests.server.test_audio import Levels

from kaiwa.engines.lanes import Lanes
from kaiwa.engines.speech_service import SpeechService
from kaiwa.testing.speech import ScriptedRecognizer, ScriptedSynthesizer, scripted_speech

KEY = "the-key-of-this-house"
BEARER = {"authorization": f"Bearer {KEY}"}
CONFIG = Path(__file__).with_name("schemathesis.toml")
PATIENCE_S = 90.0
# One base of three: the others are the same entries of the table. What is undescribed is not promised.
TRIED = r"^/(healthz|readyz|metrics|openapi\.json|docs|api/(functions|realtime|chat-stream|streams)/.*|api/chat-stream|v1/(models.*|audio/.*|realtime/client_secrets))$"


@asynccontextmanager
async def house(tmp_path: Path, **given: Any) -> AsyncIterator[str]:
    """A house with a key, quick scripted speech and the rental desk; its address."""
    lanes = Lanes()
    models = scripted_speech(ScriptedRecognizer("Hello."), ScriptedSynthesizer())
    service = SpeechService(replace(models, vad=cast(Any, Levels())), lanes)
    try:
        async with running(at_home(tmp_path, **{"api_key": KEY, **given}), speech=service) as server:
            yield server.addresses[0]
    finally:
        lanes.close()


async def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    async with house(tmp_path) as address:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *("run", f"{address}/openapi.json", "--include-path-regex", TRIED),
            *("--header", f"Authorization: Bearer {KEY}", "--checks", "all"),
            *("--max-examples", "6", "--seed", "5", "--workers", "1", "--no-color"),
        ]
        tried = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(PATIENCE_S):
            told, _ = await tried.communicate()
    assert tried.returncode == 0, told.decode()


async def fetched(address: str, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
    async with aiohttp.ClientSession() as http, http.get(f"{address}{path}", headers=headers) as answer:
        return answer, await answer.text()


async def test_the_functions_stand_there_with_the_schemas_of_the_served_agent(tmp_path: Path) -> None:
    async with house(tmp_path, agent="weather") as address:
        _, text = await fetched(address, "/openapi.json")
    told = json.loads(text)
    functions = [path for path in told["paths"] if path.startswith("/api/functions/")]
    assert functions == ["/api/functions/get_weather"]
    body = told["paths"][functions[0]]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "city" in body["properties"] or "place" in body["properties"], body
    assert told["security"] == [{"bearer": []}, {"apiKey": []}]


CONSOLE = {"GET /", "GET /console/facts", "GET /console/{name}"}


async def test_what_is_not_described_is_named_and_promises_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with house(tmp_path) as address:
        _, text = await fetched(address, "/openapi.json")
    paths = json.loads(text)["paths"]
    bare = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "summary" not in operation
    }
    for entry in bare:
        method, path = entry.split()
        assert set(paths[path][method.lower()]["responses"]) == {"default"}
    # Shown by `--junitxml`: what is left to describe.
    record_property("not described", sorted(bare))
    assert bare >= CONSOLE


async def test_the_page_shows_every_request_and_runs_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as address:
        answer, page = await fetched(address, "/docs")
        _, text = await fetched(address, "/openapi.json")
    for path in json.loads(text)["paths"]:
        assert f"<code>{path}</code>" in page
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "<script" not in page and "http://" not in page and "https://" not in page
