"""The wheel in empty environments: with the speech packages, by uvx, and with nothing but the core."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

import pytest
from tests.packaging.building import ROOT
from tests.packaging.installed import Installed, demo_line, serving, uv
from tests.packaging.turns import spoken_turn, text_turn

pytestmark = pytest.mark.clients

NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9") | {
    "NO_PROXY": "127.0.0.1",
    "UV_OFFLINE": "1",
}
AZURE = {
    "AZURE_OPENAI_ENDPOINT": "https://name.openai.azure.com",
    "AZURE_OPENAI_REALTIME_DEPLOYMENT": "gpt-realtime",
}
RELAYING = {**AZURE, "AZURE_OPENAI_API_KEY": "a-key"}
CHATTING = {"KAIWA_ENGINE": "text", "KAIWA_CHAT_BASE_URL": "http://127.0.0.1:9/v1", "KAIWA_CHAT_MODEL": "m"}
SERVICE = "Endpoint=https://name.service.signalr.net;AuthType=azure.msi;Version=1.0;"
SERVE = ("serve", "--port", "0")
LACKING = [
    (SERVE, {}, "local"),
    (("serve", "rentacar", "--port", "0"), {}, "local"),
    (SERVE, {"KAIWA_ENGINE": "text"}, "local"),
    (("demo",), {}, "local"),
    (("doctor",), {}, "local"),
    (("mcp",), {}, "mcp"),
    (("mcp", "--http"), {}, "mcp"),
    (SERVE, {**CHATTING, "KAIWA_MCP_SERVERS": "http://127.0.0.1:9/mcp"}, "mcp"),
    (("talk",), {}, "talk"),
    (SERVE, AZURE, "azure"),
    (SERVE, {**RELAYING, "AzureSignalRConnectionString": SERVICE}, "azure"),
    (SERVE, {**RELAYING, "KAIWA_REDIS_URL": "redis://127.0.0.1:9"}, "redis"),
    (
        SERVE,
        {**RELAYING, "KAIWA_AGENT": "rentacar", "KAIWA_DATABASE": "postgresql://127.0.0.1:9/desk"},
        "postgres",
    ),
    (("doctor",), {"KAIWA_DATABASE": "AccountEndpoint=https://127.0.0.1:9;AccountKey=a2V5;"}, "cosmos"),
]


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("core"), wheel, "").install()


@pytest.fixture(scope="module")
def local(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("local"), wheel, "[local]").install()


def test_the_command_tells_the_version_of_the_wheel(core: Installed) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert core.run("--version").stdout == f"kaiwa {version}\n"


@pytest.mark.parametrize(("words", "settings", "extra"), LACKING)
def test_what_is_missing_is_named_with_its_remedy_in_two_languages(
    core: Installed, words: tuple[str, ...], settings: dict[str, str], extra: str
) -> None:
    done = core.run(*words, **settings)
    said = done.stdout + done.stderr

    assert done.returncode in (1, 2), said
    assert f"pip install 'kaiwa[{extra}]'" in said and "がありません。" in said, said
    assert "Traceback" not in said, said


def test_the_bare_package_relays_and_says_that_it_has_no_model_of_its_own(core: Installed) -> None:
    asked = {"model": "rentacar", "messages": [{"role": "user", "content": "どんなお店がありますか"}]}
    with serving([core.kaiwa, *SERVE], core.home, RELAYING) as address:
        with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(
            f"{address}/v1/chat/completions", json.dumps(asked).encode(), headers
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        error = json.load(refused.value)["error"]
        assert (refused.value.code, error["code"]) == (503, "model_not_available")
        assert "kaiwa[local]" in error["message"]


def test_an_installed_server_talks_in_text_and_by_voice_and_shows_its_pages(local: Installed) -> None:
    with serving([local.kaiwa, "serve", "rentacar", "--port", "0"], local.home) as address:
        assert "店" in asyncio.run(text_turn(address, "どんなお店がありますか"))
        spoken = asyncio.run(spoken_turn(address, demo_line()))
        assert "東京" in spoken.heard and spoken.words and spoken.sound_bytes > 24_000, spoken
        for page in ("/", "/pool", "/signalr"):
            _look_at(address, page)


def test_uvx_serves_from_the_wheel_and_again_without_a_network(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("uvx")
    found = {"UV_FIND_LINKS": str(wheel.parent)}
    command = [uv(), "tool", "run", "--from", "kaiwa[local]", "kaiwa", "serve", "--port", "0"]
    with serving(command, home, found) as address:
        assert "店" in asyncio.run(text_turn(address, "どんなお店がありますか"))
    with serving(command, home, found | NO_NETWORK) as address:
        spoken = asyncio.run(spoken_turn(address, demo_line()))
        assert "東京" in spoken.heard and spoken.sound_bytes > 24_000, spoken


def test_the_chainlit_page_is_installed_by_a_command_and_served(local: Installed) -> None:
    done = local.run("chainlit", "install", PATH=f"{Path(uv()).parent}:/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    settings = {"KAIWA_CHAINLIT": "true", "KAIWA_ENGINE": "text"}
    with serving([local.kaiwa, *SERVE], local.home, settings) as address:
        assert "kaiwa" in asyncio.run(_once_it_answers(f"{address}/chat/"))


def _look_at(address: str, page: str) -> None:
    with urllib.request.urlopen(address + page, timeout=10) as answer:
        shown = answer.read().decode()
    named = re.findall(r'(?:src|href)="(\./[^"]+)"', shown)
    assert named, page
    for name in named:
        with urllib.request.urlopen(urljoin(address + page, name), timeout=10) as answer:
            assert answer.status == 200 and answer.read(), name


async def _once_it_answers(url: str) -> str:
    import aiohttp

    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            async with http.get(url) as answer:
                if answer.status == 200:
                    return await answer.text()
            await asyncio.sleep(0.5)
