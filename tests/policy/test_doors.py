"""Callers at the doors of the real house: who is let in, for what, how often, and what is said otherwise."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.server.running import at_home, running
from websockets.asyncio.client import connect

from kaiwa.errors import ConfigError
from kaiwa.policy.document import read_document
from kaiwa.policy.jwks import KeysAtAddress
from kaiwa.policy.keys import KeyStore
from kaiwa.server.doors import Doors

MASTER_KEY = "the-master-key-of-this-house"
TENANT = "11111111-2222-3333-4444-555555555555"
POLICY = """
default = "guest"
[policies.guest]
models = ["weather"]
requests_per_day = 2
[policies.staff]
models = ["weather", "rentacar"]
[[issuers]]
issuer = "https://login.example"
jwks = "jwks.json"
audience = "kaiwa"
policies = { Staff = "staff" }
[[issuers]]
entra_tenant = "TENANT"
jwks = "jwks.json"
audience = "api://kaiwa"
default = "guest"
""".replace("TENANT", TENANT)
QUESTION = {"prompt": "How is the weather in Osaka?", "agent": "weather"}
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(private: rsa.RSAPrivateKey, key_id: str) -> dict[str, Any]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    return public | {"kid": key_id, "use": "sig", "alg": "RS256"}


def token(private: rsa.RSAPrivateKey = PRIVATE, key_id: str = "k1", **claims: Any) -> str:
    usual = {
        "iss": "https://login.example",
        "aud": "kaiwa",
        "sub": "u1",
        "exp": time.time() + 60,
        "roles": ["Staff"],
    }
    return jwt.encode(usual | claims, private, algorithm="RS256", headers={"kid": key_id})


class House:
    def __init__(self, address: str, store: KeyStore, http: aiohttp.ClientSession) -> None:
        self.address, self.store, self._http = address, store, http

    def key(self, *scopes: Any, policy: str | None = None) -> str:
        return self.store.create(time.time(), scopes=scopes or None, policy=policy)[0]

    async def post(self, path: str, key: str, body: Any) -> tuple[int, Any, Any]:
        headers = {"authorization": f"Bearer {key}"}
        async with self._http.post(self.address + path, json=body, headers=headers) as answer:
            text = await answer.text()
            told = json.loads(text) if text.startswith("{") else text
            return answer.status, told, answer.headers

    async def first_event(self, key: str, query: str = "?model=weather") -> dict[str, Any]:
        url = f"{self.address.replace('http', 'ws')}/v1/realtime{query}"
        async with connect(url, additional_headers={"api-key": key}) as socket:
            return json.loads(await socket.recv())


@asynccontextmanager
async def open_house(folder: Path, **given: Any) -> AsyncIterator[House]:
    (folder / "policy.toml").write_text(POLICY)
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk(PRIVATE, "k1")]}))
    usual = {"api_key": MASTER_KEY, "keys": folder / "keys.json", "policy": folder / "policy.toml"}
    settings = at_home(folder, agent="weather", **(usual | given))
    async with running(settings) as server, aiohttp.ClientSession() as http:
        yield House(server.addresses[0], KeyStore(folder / "keys.json"), http)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


async def test_a_key_is_good_for_its_scopes_and_models_and_until_it_is_revoked(house: House) -> None:
    key = house.key("chat", policy="staff")
    assert (await house.post("/api/chat-stream", key, QUESTION))[0] == 200
    status, told, _ = await house.post("/v1/realtime/client_secrets", key, {})
    assert (status, told["error"]["code"]) == (403, "insufficient_permissions")
    assert (await house.first_event(key))["error"]["code"] == "insufficient_permissions"
    status, told, _ = await house.post("/api/chat-stream", key, {**QUESTION, "agent": "library"})
    assert (status, told["error"]["code"]) == (404, "model_not_found")
    assert "library" not in told["error"]["message"].partition("Known")[2]
    house.store.revoke(house.store.all()[0].id, time.time())
    assert (await house.post("/api/chat-stream", key, QUESTION))[0] == 401
    assert (await house.post("/api/chat-stream", MASTER_KEY, QUESTION))[0] == 200


async def test_a_limit_holds_over_every_door_and_says_when_to_come_again(house: House) -> None:
    key = house.key()
    status, _, headers = await house.post("/api/chat-stream", key, QUESTION)
    assert (status, headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == (
        200,
        "2",
        "1",
    )
    assert (await house.first_event(key))["type"] == "session.created"
    status, told, headers = await house.post("/api/chat-stream", key, QUESTION)
    assert (status, told["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(headers["retry-after"]) <= 86_400
    assert (await house.first_event(key))["error"]["code"] == "rate_limit_exceeded"
    assert (await house.post("/api/chat-stream", house.key(), QUESTION))[0] == 200, "others have their own"


async def test_a_pages_key_never_has_more_than_its_makers(house: House) -> None:
    maker = house.key("chat", "tokens", policy="guest")
    status, told, _ = await house.post("/api/tokens", maker, {"scopes": ["realtime"]})
    assert (status, told["error"]["param"]) == (403, "scopes")
    assert (await house.post("/api/tokens", MASTER_KEY, {"scopes": ["tokens"]}))[0] == 403
    status, made, headers = await house.post("/api/tokens", maker, {"scopes": ["chat"], "expires_in": 60})
    assert (status, made["scopes"], headers["cache-control"]) == (200, ["chat"], "no-store")
    assert 0 < made["expires_at"] - time.time() <= 60
    assert (await house.post("/api/tokens", made["token"], {"scopes": ["chat"]}))[0] == 403
    assert (await house.first_event(made["token"]))["error"]["code"] == "insufficient_permissions"
    assert (await house.post("/api/chat-stream", made["token"], QUESTION))[0] == 200
    assert (await house.post("/api/chat-stream", maker, QUESTION))[0] == 200
    assert (await house.post("/api/chat-stream", made["token"], QUESTION))[0] == 429, "one account"
    house.store.revoke(house.store.all()[0].id, time.time())
    assert (await house.post("/api/chat-stream", made["token"], QUESTION))[0] == 401


async def test_a_user_comes_in_by_a_good_token_and_a_role(house: House) -> None:
    entra = {
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "aud": "api://kaiwa",
        "oid": "u2",
        "tid": TENANT,
    }
    for good in (token(), token(**entra), token(**entra | {"iss": f"https://sts.windows.net/{TENANT}/"})):
        assert (await house.post("/api/chat-stream", good, QUESTION))[0] == 200


_NOW = time.time()


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": _NOW - 86_400},
        {"nbf": _NOW + 86_400},
        {"roles": ["Stranger"]},
        {"sub": ""},
        {
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "aud": "api://kaiwa",
            "oid": "u",
            "tid": "other",
        },
    ],
)
async def test_a_token_with_a_wrong_claim_opens_nothing(tmp_path: Path, claims: dict[str, Any]) -> None:
    assert await _caller_of(tmp_path, token(**claims)) is None


async def test_a_token_that_others_signed_opens_nothing(tmp_path: Path) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(token(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"})
    shared = jwt.encode(
        claims, "a-secret-that-is-long-enough-for-hs256!", algorithm="HS256", headers={"kid": "k1"}
    )
    for wrong in (token(stranger), token(stranger, "k2"), unsigned, shared, token()[:-4] + "AAAA", "eyJ.x.y"):
        assert await _caller_of(tmp_path, wrong) is None
    assert await _caller_of(tmp_path, token()) is not None


async def _caller_of(folder: Path, offered: str) -> Any:
    (folder / "policy.toml").write_text(POLICY)
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk(PRIVATE, "k1")]}))
    return await Doors(at_home(folder, policy=folder / "policy.toml")).caller([offered])


async def test_rotated_keys_are_fetched_and_strangers_cannot_make_it_fetch_often() -> None:
    keys, asked, now = [jwk(PRIVATE, "old")], [0], [0.0]

    async def answer(request: web.Request) -> web.Response:
        asked[0] += 1
        return web.json_response({"keys": keys})

    server = web.Application()
    server.router.add_get("/keys", answer)
    runner = web.AppRunner(server)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        found = KeysAtAddress(f"http://127.0.0.1:{port}/keys", clock=lambda: now[0])
        assert await found.find("old") is not None
        keys[:] = [jwk(PRIVATE, "new")]
        assert await found.find("new") is None, "too soon"
        now[0] += 31
        assert await found.find("new") is not None
        assert await found.find("old") is None
        for _ in range(5):
            assert await found.find("made up") is None
        assert asked[0] == 2
    finally:
        await runner.cleanup()
    now[0] += 3_700
    assert await found.find("new") is not None, "while the issuer is away its keys stay good for a day"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[policies.a]\nmodles = []", "policies.a"),
        ("[policies.a]\nmax_tokens = 0", "policies.a.max_tokens"),
        ("[policies.a]\nmoney_per_day = -1", "policies.a.money_per_day"),
        ('[keys]\nab = "gone"', "keys.ab"),
        ('[[issuers]]\naudience = "x"', "issuers[0].issuer"),
        (
            '[[issuers]]\naudience = "x"\nissuer = "i"\njwks = "j"\nalgorithms = ["HS256"]',
            "issuers[0].algorithms",
        ),
        ("policy = 1", "policy"),
        ("= 1", "neither TOML nor JSON"),
    ],
)
def test_an_error_in_the_file_names_the_entry_and_the_field(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read_document(text.encode())
    assert wrong.value.setting == "KAIWA_POLICY"
    assert named in str(wrong.value)


async def test_no_secret_reaches_a_log_or_an_answer(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key, signed = house.key(), token()
    secrets, told = [key, signed, MASTER_KEY], ""
    for secret in (*secrets, key + "x", signed + "x"):
        told += str((await house.post("/api/tokens", secret, {"scopes": ["admin"]}))[1])
        told += str(await house.first_event(secret + "y"))
    said = [record.getMessage() for record in caplog.records if record.name != "websockets.client"]
    told += "\n".join(said) + repr(house.store.all()) + repr(Doors)
    for secret in secrets:
        assert secret not in told
        assert secret[-20:] not in told
