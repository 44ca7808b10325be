"""Bounds on what strangers may take, and how a full server says so. SECURITY.md lists them all with their tests."""

from __future__ import annotations

import asyncio
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from tests.docs.pages import ROOT
from tests.server.paper_media import OFFER, PaperMedia
from tests.server.running import at_home, running

from kaiwa.engines.lanes import Lanes
from kaiwa.engines.speech_service import SpeechService
from kaiwa.server.ephemeral import EphemeralKeys
from kaiwa.testing.speech import ScriptedRecognizer, ScriptedSynthesizer, scripted_speech

SDP = {"content-type": "application/sdp"}


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20):
        return await reader.read()


async def test_a_connection_too_many_is_told_when_to_come_again_and_the_others_go_on(tmp_path: Path) -> None:
    async with running(at_home(tmp_path, max_connections=2)) as server:
        where = ("127.0.0.1", int(server.addresses[0].rpartition(":")[2]))
        silent = [await asyncio.open_connection(*where) for _ in range(2)]
        reader, writer = await asyncio.open_connection(*where)
        head, _, body = (await read_all(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in head
        assert json.loads(body)["error"]["code"] == "server_busy"
        writer.close()
        (first, other), (_, still_there) = silent
        other.write(b"GET /healthz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        assert (await read_all(first)).startswith(b"HTTP/1.1 200 ")
        async with aiohttp.ClientSession() as web, web.get(server.addresses[0] + "/healthz") as answer:
            assert answer.status == 200, "one has left, so there is room again"
        still_there.close()
        other.close()


async def test_a_full_house_is_503_with_a_time_at_every_door_and_no_fault_of_the_caller(
    tmp_path: Path,
) -> None:
    lanes = Lanes()
    speech = SpeechService(
        scripted_speech(ScriptedRecognizer("Hello."), ScriptedSynthesizer()), lanes, most=0
    )
    settings = at_home(tmp_path, max_sessions=1)
    doors: dict[str, dict[str, Any]] = {
        "/v1/realtime/calls?model=gpt-realtime": {"data": OFFER, "headers": SDP},
        "/api/chat-stream": {"json": {"prompt": "こんにちは"}},
        "/api/chat_stream": {"json": {"prompt": "こんにちは", "userId": "u"}},
        "/v1/audio/speech": {"json": {"model": "tts-1", "voice": "alloy", "input": "Hello."}},
        "/v1/realtime/client_secrets": {"json": {}},
        "/openai/realtimeapi/sessions": {"json": {"model": "gpt-realtime"}},
        "/api/realtime/session": {},
        "/api/tokens": {"json": {"scopes": ["chat"]}},
    }
    keys = EphemeralKeys(most=0)
    async with (
        running(settings, keys=keys, speech=speech, media=PaperMedia()) as server,
        aiohttp.ClientSession(server.addresses[0]) as web,
        web.ws_connect("/v1/realtime?model=gpt-realtime") as first,
    ):
        await first.receive()
        told: dict[str, tuple[int, str, bool]] = {}
        for path, asked in doors.items():
            async with web.post(path, **asked) as answer:
                error = (await answer.json())["error"]
                told[path] = answer.status, error["code"], int(answer.headers.get("retry-after", 0)) > 0
                assert error["type"] == "server_error"
        assert told == dict.fromkeys(doors, (503, "server_busy", True))
        async with web.ws_connect("/v1/realtime?model=gpt-realtime") as late:
            assert (await late.receive_json())["error"]["code"] == "server_busy"
            await late.receive()
            assert late.close_code == 1013
    lanes.close()


async def test_a_body_beyond_its_bound_is_not_kept(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server, aiohttp.ClientSession(server.addresses[0]) as web:
        for path in ("/api/chat-stream", "/api/broadcast", "/api/functions/list_locations"):
            async with web.post(path, data=BytesIO(b" " * 1_100_000)) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (
                    413,
                    "request_too_large",
                ), path


def test_every_bound_that_is_promised_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(named) > 15
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{path}::{test}"
