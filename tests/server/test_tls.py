"""TLS beside the plain port or instead of it, and the certificates it comes with."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from tests.server.running import at_home, running
from websockets.asyncio.client import connect

from kaiwa.cli.serving import read_settings
from kaiwa.errors import ConfigError
from kaiwa.server.certificates import own_certificate, self_signed, tls_context
from kaiwa.server.listening import certificate_of


def trusting(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


async def first_event(url: str, context: ssl.SSLContext | None = None) -> str:
    async with asyncio.timeout(20), connect(url, ssl=context) as socket:
        return json.loads(await socket.recv())["type"]


async def test_a_plain_and_a_tls_port_serve_the_same_house(tmp_path: Path) -> None:
    settings = at_home(tmp_path, tls_self_signed=True, tls_port=0)
    async with running(settings) as server:
        plain, secure = (f"ws{url[4:]}/v1/realtime?model=gpt-realtime" for url in server.addresses)
        assert server.authority is not None
        assert secure.startswith("wss://") and not plain.startswith("wss")
        assert await first_event(plain) == "session.created"
        assert await first_event(secure, trusting(server.authority)) == "session.created"
        with pytest.raises(ssl.SSLCertVerificationError):
            await first_event(secure, ssl.create_default_context())


async def test_the_only_port_speaks_tls_when_there_is_a_certificate(tmp_path: Path) -> None:
    async with running(at_home(tmp_path, tls_self_signed=True)) as server:
        (address,) = server.addresses
        assert server.authority is not None
        by_name = address.replace("127.0.0.1", "localhost").replace("https", "wss")
        context = trusting(server.authority)
        assert await first_event(f"{by_name}/v1/realtime?model=gpt-realtime", context) == "session.created"


async def test_node_trusts_the_server_by_the_variable_it_is_told(tmp_path: Path) -> None:
    async with running(at_home(tmp_path, tls_self_signed=True)) as server:
        script = f"fetch('{server.addresses[0]}/healthz').then(a => a.text()).then(console.log)"
        node = await asyncio.create_subprocess_exec(
            "node",
            "-e",
            script,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(server.authority)},
            stdout=subprocess.PIPE,
        )
        told, _ = await asyncio.wait_for(node.communicate(), 10)
    assert json.loads(told)["status"] == "ok"


def test_a_certificate_is_kept_and_made_anew_for_another_name(tmp_path: Path) -> None:
    first = self_signed(tmp_path, "127.0.0.1")
    before = first.chain.read_bytes()
    assert self_signed(tmp_path, "127.0.0.1") == first
    assert first.chain.read_bytes() == before
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    self_signed(tmp_path, "desk.example")
    assert first.chain.read_bytes() != before
    first.chain.write_bytes(b"damaged")
    tls_context(self_signed(tmp_path, "desk.example"))


def test_the_operators_certificate_is_used(tmp_path: Path) -> None:
    made = self_signed(tmp_path, "127.0.0.1")
    settings = at_home(tmp_path, tls_cert=made.chain, tls_key=made.key)
    assert certificate_of(settings) == own_certificate(made.chain, made.key)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tls_cert": "a.pem"}, "KAIWA_TLS_KEY"),
        ({"tls_key": "a.pem"}, "KAIWA_TLS_CERT"),
        ({"tls_cert": "a.pem", "tls_key": "b.pem", "tls_self_signed": True}, "KAIWA_TLS_SELF_SIGNED"),
        ({"tls_port": 8443}, "KAIWA_TLS_PORT"),
        ({"port": 8443, "tls_port": 8443, "tls_self_signed": True}, "KAIWA_TLS_PORT"),
    ],
)
def test_half_a_tls_configuration_is_told_what_it_lacks(given: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_settings(**given)
    assert error.value.setting == named


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    no_certificate = tmp_path / "a.pem"
    with pytest.raises(ConfigError, match="KAIWA_TLS_CERT"):
        own_certificate(no_certificate, no_certificate)
    no_certificate.write_text("nothing")
    with pytest.raises(ConfigError, match="KAIWA_TLS_CERT"):
        tls_context(own_certificate(no_certificate, no_certificate))


async def test_a_tls_port_in_use_is_named(tmp_path: Path) -> None:
    async with running(at_home(tmp_path, tls_self_signed=True)) as server:
        taken = int(server.addresses[0].rpartition(":")[2])
        settings = at_home(tmp_path, tls_self_signed=True, tls_port=taken)
        with pytest.raises(ConfigError, match="KAIWA_TLS_PORT"):
            async with running(settings):
                pass
