"""The servers that clients call: one process each for all tests of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.clients.line import broken_line
from tests.clients.place import KEY, SERVICE_KEY, Place
from tests.clients.stand_in import stand_in
from tests.contract.breakages import Breakage
from tests.server.live_server import live_server

from kaiwa.cli.local_server import free_port
from kaiwa.server.certificates import Certificate, self_signed


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("certificate"), "127.0.0.1")


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Place]:
    """kaiwa with its own speech models and dialogue engine."""
    tls_port = free_port()
    with live_server(tmp_path_factory.mktemp("local"), _settings(certificate, tls_port)) as port:
        yield _place("local", port, tls_port, certificate)


@pytest.fixture(scope="session")
def relay_server(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Place]:
    """kaiwa in front of a deployment of Azure's, which the stand-in plays."""
    tls_port = free_port()
    with stand_in(tmp_path_factory.mktemp("service")) as service:
        behind = {
            "KAIWA_ENGINE": "relay",
            "AZURE_OPENAI_ENDPOINT": service,
            "AZURE_OPENAI_API_KEY": SERVICE_KEY,
            "AZURE_OPENAI_REALTIME_DEPLOYMENT": "voice",
        }
        settings = _settings(certificate, tls_port) | behind
        with live_server(tmp_path_factory.mktemp("relay"), settings) as port:
            yield _place("relay", port, tls_port, certificate)


def _settings(certificate: Certificate, tls_port: int) -> dict[str, str]:
    return {
        "KAIWA_API_KEY": KEY,
        "KAIWA_TLS_CERT": str(certificate.chain),
        "KAIWA_TLS_KEY": str(certificate.key),
        "KAIWA_TLS_PORT": str(tls_port),
    }


def _place(engine: str, port: int, tls_port: int, certificate: Certificate) -> Place:
    return Place(engine, f"127.0.0.1:{port}", f"127.0.0.1:{tls_port}", certificate)


@pytest.fixture(params=["local", "relay"])
async def place(request: pytest.FixtureRequest, planted: Breakage | None) -> AsyncIterator[Place]:
    """Each engine in turn; behind a broken line when the rule of the test is broken."""
    server: Place = request.getfixturevalue(f"{request.param}_server")
    if planted is None:
        yield server
        return
    async with broken_line(server, planted) as behind:
        yield behind
