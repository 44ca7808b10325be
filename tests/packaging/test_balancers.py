"""The proxies of deploy/ before a real server: streams leave piece by piece, WebSockets pass, figures stay inside."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests.packaging.building import ROOT
from tests.server.live_server import live_server
from websockets.asyncio.client import connect

from kaiwa.cli.local_server import free_port
from kaiwa.server.certificates import self_signed

pytestmark = pytest.mark.clients
PACE_MS = 200
START_S = 15.0


@dataclass(frozen=True)
class Front:
    """A proxy that runs; `trust` is whose certificates are good there."""

    address: str
    trust: ssl.SSLContext | None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = {"KAIWA_ENGINE": "text", "KAIWA_CHAT_PACE_MS": str(PACE_MS)}
    with live_server(tmp_path_factory.mktemp("server"), settings) as port:
        yield port


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(
    request: pytest.FixtureRequest, server: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """Each has a second process to go to as well, and there is none: such a request goes to the other one."""
    start = {"nginx": _nginx, "caddy": _caddy}[request.param]
    with start(tmp_path_factory.mktemp(request.param), server, free_port()) as running:
        yield running


@contextmanager
def _nginx(folder: Path, server: int, nobody: int) -> Iterator[Front]:
    port, certificate = free_port(), self_signed(folder, "127.0.0.1")
    text = (ROOT / "deploy/nginx/kaiwa.conf").read_text("utf-8")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(
        "kaiwa.example", "127.0.0.1"
    )
    text = text.replace("/etc/ssl/kaiwa/fullchain.pem", str(certificate.chain))
    text = text.replace("/etc/ssl/kaiwa/privkey.pem", str(certificate.key))
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{nobody}").replace(
        "127.0.0.1:8001", f"127.0.0.1:{server}"
    )
    (folder / "kaiwa.conf").write_text(text)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; user root; pid {folder}/pid; error_log {folder}/log; events {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/kaiwa.conf; }}\n"
    )
    command = [_found("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    trust = ssl.create_default_context(cafile=str(certificate.authority))
    with _running(command, folder, Front(f"https://127.0.0.1:{port}", trust)) as running:
        yield running


@contextmanager
def _caddy(folder: Path, server: int, nobody: int) -> Iterator[Front]:
    port = free_port()
    text = (ROOT / "deploy/caddy/Caddyfile").read_text("utf-8")
    text = text.replace("kaiwa.example {", f"http://127.0.0.1:{port} {{")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{nobody}").replace(
        "127.0.0.1:8001", f"127.0.0.1:{server}"
    )
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
    command = [_found("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with _running(command, folder, Front(f"http://127.0.0.1:{port}", None)) as running:
        yield running


def _found(program: str) -> str:
    path = shutil.which(program, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    assert path, f"{program} is missing: scripts/setup-clients.sh installs it"
    return path


@contextmanager
def _running(command: list[str], folder: Path, front: Front) -> Iterator[Front]:
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder)
    try:
        give_up = time.monotonic() + START_S
        while _status(front, "/healthz") != 200:
            told = (folder / "said").read_text("utf-8")[-2000:]
            assert process.poll() is None and time.monotonic() < give_up, told
            time.sleep(0.05)
        yield front
    finally:
        process.terminate()
        process.wait(10)


def _status(front: Front, path: str) -> int:
    try:
        with urllib.request.urlopen(front.address + path, timeout=5, context=front.trust) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


async def test_an_event_stream_is_not_held_back(front: Front) -> None:
    asked = {"prompt": "どんなお店がありますか", "agent": "rentacar"}
    async with (
        aiohttp.ClientSession() as web,
        web.post(f"{front.address}/api/chat-stream", json=asked, ssl=front.trust or True) as answer,
    ):
        assert answer.status == 200
        moments = [time.monotonic() async for line in answer.content if line.startswith(b"data:")]
    assert len(moments) > 5
    paced_s = (len(moments) - 1) * PACE_MS / 1000
    assert moments[-1] - moments[0] > paced_s / 2, "they came together at the end"


async def test_a_websocket_passes(front: Front) -> None:
    url = f"ws{front.address.removeprefix('http')}/v1/realtime?model=rentacar"
    async with connect(url, proxy=None, ssl=front.trust) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"


def test_the_figures_are_not_for_everybody(front: Front) -> None:
    assert _status(front, "/metrics") == 403


def test_a_process_that_is_not_there_costs_nobody_an_answer(front: Front) -> None:
    assert {_status(front, "/healthz") for _ in range(10)} == {200}


def test_both_name_the_same_two_processes() -> None:
    texts = [(ROOT / "deploy" / name).read_text("utf-8") for name in ("nginx/kaiwa.conf", "caddy/Caddyfile")]
    assert [re.findall(r"127\.0\.0\.1:\d+", text) for text in texts] == [
        ["127.0.0.1:8000", "127.0.0.1:8001"]
    ] * 2
