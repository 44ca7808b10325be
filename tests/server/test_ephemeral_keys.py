"""Ephemeral keys: how they are minted, what they open and for how long, over real requests and sockets."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from openai.types.realtime import RealtimeSessionCreateResponse
from tests.server.running import at_home, running
from websockets.asyncio.client import connect

from kaiwa.events.config import SessionConfig
from kaiwa.server.ephemeral import EphemeralKeys

KEY = "the-key-of-this-house"


class Visitor:
    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self.address = address
        self._http = http

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {KEY}"} | headers
        data = io.BytesIO(
            body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        )
        async with self._http.post(self.address + path, data=data, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def first_event(self, key: str, query: str = "") -> dict[str, Any]:
        url = f"{self.address.replace('http', 'ws')}/v1/realtime{query}"
        async with asyncio.timeout(20), connect(url, additional_headers={"api-key": key}) as socket:
            return json.loads(await socket.recv())


@pytest.fixture
async def visitor(tmp_path: Path) -> AsyncIterator[Visitor]:
    settings = at_home(tmp_path, api_key=KEY, agent="weather")
    async with running(settings) as server, aiohttp.ClientSession() as http:
        yield Visitor(server.addresses[0], http)


async def test_a_key_opens_the_session_that_was_baked_in(visitor: Visitor) -> None:
    session = {
        "type": "realtime",
        "model": "weather",
        "instructions": "Be brief.",
        "audio": {"output": {"voice": "cedar"}},
    }
    status, made = await visitor.post("/v1/realtime/client_secrets", {"session": session})
    assert status == 200
    assert re.fullmatch(r"ek_[0-9a-f]{32}", made["value"])
    assert made["session"]["expires_at"] == 0
    created = await visitor.first_event(made["value"])
    shown = created["session"]
    assert (shown["model"], shown["instructions"]) == ("weather", "Be brief.")
    assert shown["audio"]["output"]["voice"] == "cedar"
    assert shown["id"] != made["session"]["id"]


async def test_what_the_key_says_wins_over_the_address(visitor: Visitor) -> None:
    _, made = await visitor.post(
        "/v1/realtime/client_secrets", {"session": {"type": "realtime", "model": "library"}}
    )
    assert (await visitor.first_event(made["value"], "?model=weather"))["session"]["model"] == "library"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "invalid_value", "expires_after.anchor"),
        ({"expires_in": 3}, "unknown_parameter", "expires_in"),
        ({"session": []}, "invalid_type", "session"),
        ({"session": {}}, "missing_required_parameter", "session.type"),
        (
            {"session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
            None,
            "session.audio.output.speed",
        ),
        (
            {"session": {"type": "realtime", "modalities": ["text"]}},
            "unknown_parameter",
            "session.modalities",
        ),
        ({"session": {"type": "realtime", "model": "nobody"}}, "model_not_found", "session.model"),
        ({"session": {"type": "transcription", "model": "whisper-1"}}, "invalid_parameter", "session.model"),
        ([], "invalid_type", None),
        (b"{", "invalid_json", None),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(
    visitor: Visitor, body: Any, code: str | None, param: str | None
) -> None:
    status, told = await visitor.post("/v1/realtime/client_secrets", body)
    assert status == 400
    assert set(told["error"]) == {"message", "type", "code", "param"}
    assert told["error"]["param"] == param
    assert code in (None, told["error"]["code"])


async def test_the_preview_names_what_is_wrong_by_its_flat_names(visitor: Visitor) -> None:
    status, told = await visitor.post("/v1/realtime/sessions", {"modalities": ["audio"]})
    assert (status, told["error"]["param"]) == (400, "modalities")
    assert "session." not in told["error"]["message"]


async def test_a_preview_key_may_live_longer_when_asked_to(visitor: Visitor) -> None:
    wanted = {"client_secret": {"expires_after": {"anchor": "created_at", "seconds": 900}}}
    (_, usual), (_, longer) = [await visitor.post("/v1/realtime/sessions", body) for body in ({}, wanted)]
    assert 838 <= longer["client_secret"]["expires_at"] - usual["client_secret"]["expires_at"] <= 842


async def test_an_ephemeral_key_mints_no_other(visitor: Visitor) -> None:
    _, made = await visitor.post("/v1/realtime/client_secrets")
    status, told = await visitor.post("/v1/realtime/client_secrets", authorization=f"Bearer {made['value']}")
    assert (status, told["error"]["code"]) == (401, "invalid_api_key")


async def test_a_body_beyond_measure_is_refused(visitor: Visitor) -> None:
    status, told = await visitor.post("/v1/realtime/client_secrets", b" " * (1024 * 1024 + 1))
    assert (status, told["error"]["code"]) == (413, "request_too_large")


async def test_what_nobody_serves_is_told_in_the_same_form(visitor: Visitor) -> None:
    status, told = await visitor.post("/v1/nothing")
    assert status == 404 and "/v1/nothing" in told["error"]["message"]
    status, told = await visitor.post("/v1/models")
    assert status == 405 and set(told["error"]) == {"message", "type", "code", "param"}


async def test_in_a_house_without_a_key_dead_ephemeral_keys_open_nothing(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server, aiohttp.ClientSession() as http:
        visitor = Visitor(server.addresses[0], http)
        told = await visitor.first_event("ek_" + "0" * 32, "?model=gpt-realtime")
        assert told["error"]["code"] == "invalid_api_key"
        assert (await visitor.first_event("anything", "?model=gpt-realtime"))["type"] == "session.created"


def test_keys_end_with_their_time_and_a_full_store_mints_none() -> None:
    now = [1000.0]
    keys = EphemeralKeys(most=2, now=lambda: now[0])
    config = SessionConfig()
    first, second = keys.mint(config, 10), keys.mint(config, 60)
    assert first is not None and second is not None
    assert keys.mint(config, 60) is None
    now[0] += 10
    assert keys.find([first[0]]) is None
    assert keys.find(["else", second[0]]) == second[1]
    assert keys.mint(config, 60) is not None


def test_only_hashes_are_kept() -> None:
    keys = EphemeralKeys()
    made = keys.mint(SessionConfig(), 60)
    assert made is not None
    assert made[0] not in repr(vars(keys)) and made[0].removeprefix("ek_") not in repr(vars(keys))


async def test_the_stock_clients_mint_keys_and_read_them(visitor: Visitor) -> None:
    azure = AsyncAzureOpenAI(
        api_key=KEY, azure_endpoint=visitor.address, api_version="2025-04-01-preview", max_retries=0
    )
    async with azure, AsyncOpenAI(api_key=KEY, base_url=f"{visitor.address}/v1") as plain:
        for client in (azure, plain):
            made = await client.realtime.client_secrets.create(
                session={"type": "realtime", "model": "weather"}
            )
            assert made.value.startswith("ek_")
            assert isinstance(made.session, RealtimeSessionCreateResponse)
            assert made.session.model == "weather"
            flat = await client.beta.realtime.sessions.create(
                model="gpt-4o-realtime-preview", modalities=["text"]
            )
            assert flat.client_secret.value.startswith("ek_") and flat.modalities == ["text"]
            heard = await client.beta.realtime.transcription_sessions.create(input_audio_format="pcm16")
            assert heard.client_secret.value.startswith("ek_")
