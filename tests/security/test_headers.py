"""What every answer tells browsers, whatever it is; and TLS as the operator wants it."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.server.running import InThisLoop, at_home, running

from kaiwa.errors import ConfigError
from kaiwa.server.certificates import own_certificate, self_signed, tls_context
from kaiwa.testing.service import running_service

KEY = "key-of-the-house"
PAGES = ("/", "/signalr", "/pool", "/docs")
OTHERS = (
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/console/facts",
    "/v1/models",
    "/metrics",
    "/api/pool",
    "/nothing",
)


@asynccontextmanager
async def house(directory: Path, **given: object) -> AsyncIterator[tuple[InThisLoop, aiohttp.ClientSession]]:
    async with (
        running(at_home(directory, api_key=KEY, **given)) as server,
        aiohttp.ClientSession(server.addresses[-1], headers={"api-key": KEY}) as web,
    ):
        yield server, web


def directives(policy: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in policy.split(";"))}


async def test_no_answer_may_be_guessed_at_held_in_a_frame_or_load_from_elsewhere(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, web):
        for path in (*PAGES, *OTHERS):
            async with web.get(path) as answer:
                told = answer.headers
            assert told.getall("x-content-type-options") == ["nosniff"], path
            assert told.getall("referrer-policy") == ["no-referrer"], path
            (policy,) = (directives(one) for one in told.getall("content-security-policy"))
            assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"], path
            assert policy["frame-ancestors"] == ["'none'"], path
            sources = {source for listed in policy.values() for source in listed}
            assert not [
                source for source in sources if "unsafe" in source or source in ("*", "https:", "data:")
            ]
            assert "strict-transport-security" not in told, path


async def test_pages_open_the_microphone_for_themselves_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, web):
        for path in ("/", "/signalr", "/pool"):
            async with web.get(path) as answer:
                assert "microphone=(self)" in answer.headers["permissions-policy"], path
                assert "camera=()" in answer.headers["permissions-policy"], path
                assert answer.headers["x-frame-options"] == "DENY", path


async def test_pages_hold_no_script_and_no_style_that_their_policy_forbids(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, web):
        for path in PAGES:
            async with web.get(path) as answer:
                text, policy = await answer.text(), directives(answer.headers["content-security-policy"])
            assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", text), path
            assert "<style" not in text or any(
                source.startswith("'sha256-") for source in policy["style-src"]
            )
            for source in re.findall(r"(?:src|href)=\"([^\"]+)\"", text):
                assert not source.startswith(("http", "//")), source


async def test_refusals_and_relayed_answers_are_not_guessed_at_either(tmp_path: Path) -> None:
    async with running_service() as service:
        entry = {"endpoint": service.url, "deployment": "gpt-4o", "api_key": service.key}
        async with house(tmp_path, upstreams=json.dumps([entry])) as (_, web):
            asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
            for key, body in ((KEY, asked), (KEY, {**asked, "stream": True}), ("wrong", asked), (KEY, {})):
                async with web.post("/v1/chat/completions", json=body, headers={"api-key": key}) as answer:
                    assert answer.headers.getall("x-content-type-options") == ["nosniff"], answer.status


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tls_cert": "own", "tls_key": "own"}, "max-age=15768000"),
        ({"tls_cert": "own", "tls_key": "own", "tls_port": 0}, None),
        ({"tls_self_signed": True}, None),
    ],
    ids=["TLS alone", "TLS beside a plain port", "a certificate made here"],
)
async def test_browsers_are_bound_to_tls_only_where_there_is_nothing_else(
    tmp_path: Path, given: dict[str, object], told: str | None
) -> None:
    """A browser told so never asks for a plain page of this host again, at any port: `localhost` would be gone."""
    made = self_signed(tmp_path, "127.0.0.1")
    files = {
        name: getattr(made, {"tls_cert": "chain", "tls_key": "key"}[name])
        for name in given
        if given[name] == "own"
    }
    async with house(tmp_path, **{**given, **files}) as (_, web):
        context = ssl.create_default_context(cafile=str(made.authority))
        async with web.get("/", ssl=context) as answer:
            assert answer.headers.get("strict-transport-security") == told


async def test_older_tls_is_refused_where_the_operator_says_so(tmp_path: Path) -> None:
    async with house(tmp_path, tls_self_signed=True, tls_minimum="1.3") as (server, web):
        assert server.authority is not None
        newest, old = (ssl.create_default_context(cafile=str(server.authority)) for _ in range(2))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        async with web.get("/healthz", ssl=newest) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await web.get("/healthz", ssl=old)


async def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    made = self_signed(tmp_path, "127.0.0.1")
    locked = tmp_path / "locked.key"
    command = [
        "openssl",
        "ec",
        "-in",
        str(made.key),
        "-aes256",
        "-passout",
        "pass:secret",
        "-out",
        str(locked),
    ]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    with pytest.raises(ConfigError, match="without a passphrase"):
        tls_context(own_certificate(made.chain, locked))
