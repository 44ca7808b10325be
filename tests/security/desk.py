"""Real servers at the most talkative level, with a planted secret in every place that takes one.

Knows settings and processes; what clients do with them is `traffic`'s.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from tests.security.planted import SECRETS

from kaiwa.policy.keys import KeyStore
from kaiwa.testing.service import Script, Service
from kaiwa.testing.service.script import DEFAULT_RULES

START_S, END_S = 60.0, 20.0
NOWHERE = 9  # nobody listens to discarded packets any more
ISSUER, AUDIENCE = "https://login.example", "kaiwa"


def service_script(spoken: str) -> Script:
    return Script(hears=(spoken,), rules=DEFAULT_RULES)


@dataclass
class Given:
    """All that came out of the servers, by where it was seen; `minted`: secrets that they made themselves."""

    seen: dict[str, bytes] = field(default_factory=dict)
    minted: dict[str, str] = field(default_factory=dict)
    did: set[str] = field(default_factory=set)

    def add(self, where: str, what: bytes) -> None:
        self.seen[where] = self.seen.get(where, b"") + b"\n" + what


@dataclass
class Credentials:
    """What callers of the first house show."""

    user: str
    program: str


@asynccontextmanager
async def server(
    name: str, folder: Path, port: int, settings: dict[str, str], given: Given
) -> AsyncIterator[None]:
    """Serve `wishes` in a process of its own; keep all that it wrote."""
    usual = {"KAIWA_LOG_LEVEL": "debug", "KAIWA_PORT": str(port)}
    command = [sys.executable, "-m", "kaiwa", "serve", "wishes:agent"]
    with (folder / f"{name}.err").open("w+b") as logged:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=logged,
            env=environment(folder, usual | settings),
            cwd=folder,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                greeting = await process.stdout.readline()
            assert "会話" in greeting.decode(), logged.seek(0) or logged.read().decode()
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(END_S):
                rest, _ = await process.communicate()
        logged.seek(0)
        given.add(f"{name}: stdout", greeting + rest)
        given.add(f"{name}: stderr", logged.read())


def environment(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process with these settings and none of this machine's."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("KAIWA_", "AZURE", "OPENAI"))
    }
    path = os.pathsep.join([str(Path(__file__).parent), clean.get("PYTHONPATH", "")])
    return clean | {"PYTHONPATH": path, "KAIWA_CACHE": str(folder)} | settings


def relaying(folder: Path, service: Service, redis_port: int) -> tuple[dict[str, str], Credentials]:
    """Settings of a house that relays all it can, and who may come in."""
    keyed = folder / "service.key"
    keyed.write_text(SECRETS["key in a file"])
    program, _ = KeyStore(folder / "keys.json").create(time.time(), label="desk", policy="staff")
    base = f"{service.url}/v1"
    chat = {
        "gpt-4o": {"api_key": SECRETS["key of the service"]},
        "filed": {"api_key_file": str(keyed), "deployment": "gpt-4o-mini"},
        "wrong": {"api_key": SECRETS["key that the service refuses"], "deployment": "gpt-4o"},
        "cut": {"api_key": SECRETS["key of the service"], "deployment": "gpt-4o@cut_in=delta.2"},
        "failing": {"api_key": SECRETS["key of the service"], "deployment": "gpt-4o@http_status=500"},
        "filtered": {"api_key": SECRETS["key of the service"], "deployment": "gpt-4o@http_status=400"},
    }
    pool = [
        {"name": name, "endpoint": service.url, "deployment": name, "models": [name], **entry}
        for name, entry in chat.items()
    ]
    pool += [
        {"name": "away", "base_url": f"http://127.0.0.1:{NOWHERE}/v1", "models": ["away"],
         "api_key": SECRETS["key of OpenAI"]},
        {"name": "entra", "endpoint": service.url, "deployment": "gpt-4o", "models": ["entra"]},
        {"name": "embeds", "base_url": base, "models": ["text-embedding-3-small"],
         "api_key": SECRETS["key of the service"]},
    ]  # fmt: skip
    live = [
        {"name": "voice", "endpoint": service.url, "deployment": "voice", "models": ["voice"],
         "api_key": SECRETS["key of the service"]},
        {"name": "old", "endpoint": service.url, "deployment": "voice", "models": ["old"],
         "api_version": "2025-04-01-preview", "api_key": SECRETS["key of the service"]},
        {"name": "wrong", "endpoint": service.url, "deployment": "voice", "models": ["wrong-voice"],
         "api_key": SECRETS["key that the service refuses"]},
        {"name": "away", "base_url": f"http://127.0.0.1:{NOWHERE}/v1", "models": ["away-voice"],
         "api_key": SECRETS["key of OpenAI"]},
    ]  # fmt: skip
    settings = {
        "KAIWA_API_KEY": SECRETS["key of the house"],
        "KAIWA_KEYS": str(folder / "keys.json"),
        "KAIWA_POLICY": str(folder / "policy.toml"),
        "KAIWA_UPSTREAMS": json.dumps(pool),
        "KAIWA_CHAT_MODEL": "gpt-4o",
        "KAIWA_REALTIME_UPSTREAMS": json.dumps(live),
        "KAIWA_SHOW_TOOL_CALLS": "true",
        "KAIWA_RTC_MEDIA": "direct",
        "KAIWA_REDIS_URL": f"redis://:{SECRETS['password of Redis']}@127.0.0.1:{redis_port}/0",
        "KAIWA_SIGNALR_SERVICE_KEY": SECRETS["access key of SignalR"],
        "KAIWA_SIGNALR_UPSTREAMS": json.dumps([{
            "UrlTemplate": f"http://127.0.0.1:{NOWHERE}/api/{{event}}?code={SECRETS['code of an upstream of the hub']}"
        }]),
        "KAIWA_RTC_ICE_SERVERS": json.dumps([
            {"urls": "turn:turn.example", "username": "u", "credential": SECRETS["credential of TURN"]}
        ]),
        "KAIWA_DATABASE": str(folder / "desk.db"),
        "AZURE_TENANT_ID": "11111111-2222-3333-4444-555555555555",
        "AZURE_CLIENT_ID": "66666666-7777-8888-9999-000000000000",
        "AZURE_CLIENT_SECRET": SECRETS["secret of the Entra client"],
        "AZURE_AUTHORITY_HOST": f"https://127.0.0.1:{NOWHERE}",
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
    }  # fmt: skip
    return settings, Credentials(_user(folder), program)


def local(hub: str, service: Service, mcp_port: int) -> dict[str, str]:
    """Settings of a house that answers by itself, whose hub and chat model are elsewhere."""
    signalr = f"Endpoint={hub};AccessKey={SECRETS['access key of SignalR']};Version=1.0;"
    password, token = SECRETS["password of PostgreSQL"], SECRETS["token of an MCP server"]
    notes = {
        label: {"url": f"http://127.0.0.1:{port}/mcp", "authorization": token}
        for label, port in (("notes", mcp_port), ("gone", NOWHERE))
    }
    return {
        "KAIWA_ENGINE": "text",
        "KAIWA_LOG_FORMAT": "json",
        "KAIWA_CHAT_BASE_URL": f"{service.url}/v1",
        "KAIWA_CHAT_MODEL": "gpt-4.1",
        "KAIWA_CHAT_API_KEY": SECRETS["key of the chat model"],
        "AzureSignalRConnectionString": signalr,
        "KAIWA_DATABASE": f"postgresql://desk:{password}@127.0.0.1:{NOWHERE}/desk",
        "OPENAI_API_KEY": SECRETS["key of OpenAI"],
        "KAIWA_MCP_SERVERS": json.dumps(notes),
    }


def _user(folder: Path) -> str:
    """Write the policy file; return a token of a user it lets in."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    (folder / "jwks.json").write_bytes(msgspec.json.encode({"keys": [{**public, "kid": "k", "use": "sig"}]}))
    (folder / "policy.toml").write_text(f"""
        default = "staff"
        [policies.staff]
        requests_per_minute = 1000
        [[issuers]]
        issuer = "{ISSUER}"
        jwks = "jwks.json"
        audience = "{AUDIENCE}"
        default = "staff"
    """)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "hana", "exp": int(time.time()) + 600}
    return jwt.encode(claims, private, algorithm="ES256", headers={"kid": "k"})
