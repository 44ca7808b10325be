"""All code of the pages is run: what is not stands in one list, with the reason.

Python and JSON in this process; commands for a server that runs already in a shell; pages in Node. What starts
servers of its own belongs to `make test-clients`.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.docs.pages import BLOCKS, ROOT, Block
from tests.docs.running import Place
from tests.packaging.shown import SHOWN
from tests.server.live_server import live_server

from kaiwa import Agent
from kaiwa.policy.document import read_document
from kaiwa.server.configuration import read_configuration
from kaiwa.server.settings import Prices
from kaiwa.testing.callers import load_scenario
from kaiwa.testing.service import Script, running_service
from kaiwa.upstream.pool.configuration import Credentials, read_deployments

# Why a block is not run. It may only get shorter: what is new is run.
NOT_RUN = {
    "README.md: git clone … kaiwa && cd kaiwa": "fetches the repository itself",
    "CONTRIBUTING.md: make setup    # virtual environment, loc": "runs the tests themselves",
    "docs/architecture.md: cli": "a picture",
    "docs/callers.md: kaiwa call --list": "whole spoken calls; tests/testing has them",
    "docs/cassettes.md: kaiwa record call.jsonl                 ": "tests/testing/test_cassette_commands.py",
    "docs/cassettes.md: kaiwa replay call.jsonl                 ": "tests/testing/test_cassette_commands.py",
    "docs/cassettes.md: not as recorded in weather_line.jsonl:": "an answer; tests/testing has it",
    "docs/chainlit.md: KAIWA_URL=wss://kaiwa.example KAIWA_API_": "needs a server elsewhere",
    "docs/configuration.md: INFO kaiwa.server the settings were read": "log lines; tests/server/test_reloading.py",
    'docs/gateway.md: data: {"error":{"message":"The service\'s': "an answer; tests/gateway has it",
    "docs/metrics.md: scrape_configs:": "of Prometheus",
    "docs/metrics.md: # of relayed requests, the share that fa": "of Prometheus",
    'docs/metrics.md: {"time":"2026-11-21T05:12:08.113+00:00",': "a log line; tests/server/test_logs.py",
    "docs/operations.md: for port in 8001 8002 8003; do        # ": "a sketch; tests of clusters do it",
    "docs/relay.md: client ──ws──▶ kaiwa ──ws──▶ wss://NAME.": "a picture",
    "docs/resume.md: ws://127.0.0.1:8000/v1/realtime?model=re": "an address",
    "docs/traces.md: conversation weather                    ": "a picture",
    "docs/traces.md: chat gpt-4o                             ": "a picture",
    "docs/webrtc.md: KAIWA_RTC_PUBLIC_IP=203.0.113.7": "needs Docker",
    "docs/webrtc.md: server process                          ": "a picture",
}
MOST_NOT_RUN = 20


def kind_of(block: Block) -> str:
    if block.first in NOT_RUN:
        return "not run"
    if block.first in SHOWN:
        return "installation"
    if block.language == "python":
        if "asyncio.run(" in block.text:
            return "program"
        return "talking python" if _awaits_at_its_top(block.text) else "python"
    if block.language in ("js", "json", "toml"):
        return block.language
    text = re.sub(r"^\s*#.*\n", "", block.text, flags=re.M)
    if block.place.startswith("docs/chat-stream.md") and text.startswith("data:"):
        return "answer"
    if text.startswith("python -m bench"):
        return "measurement"  # of minutes; tests/bench has its parts
    if block.place.startswith("docs/doctor.md") and text.startswith("✓"):
        return "findings"  # tests/cli/test_doctor_runs.py holds the page to them
    if re.search(r"^[^#\n]*\bmake [a-z]", text, re.M):
        return "make"
    if re.search(r"(?:^|[ /])kaiwa [a-z]|^scripts/", text, re.M):
        return "kaiwa"
    if re.match(r"(?:export )?[A-Za-z_]+=", text):
        return "settings"
    return "curl" if text.lstrip().startswith("curl") else "unknown"


def _awaits_at_its_top(text: str) -> bool:
    try:
        compile(text, "page", "exec", dont_inherit=True)
    except SyntaxError:
        return True
    return False


def blocks(kind: str) -> pytest.MarkDecorator:
    # Pages in Japanese have the code of the English ones, as `test_links` sees.
    found = [block for block in BLOCKS if kind_of(block) == kind and not block.page.endswith(".ja.md")]
    return pytest.mark.parametrize("block", found, ids=[block.place for block in found])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as the pages have it, without the speech that no block here asks for."""
    folder = tmp_path_factory.mktemp("served")
    with live_server(folder, {"KAIWA_ENGINE": "text", "KAIWA_SIGNALR_ANONYMOUS_TO_ALL": "true"}) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def before_a_service(folder: Path) -> AsyncIterator[str]:
    """The same with a deployment behind it, as the page about the relay has it."""
    async with running_service(Script()) as service:
        entry = {"endpoint": service.url, "deployment": "gpt-4o", "api_key": service.key}
        house = live_server(folder, {"KAIWA_ENGINE": "text", "KAIWA_UPSTREAMS": json.dumps([entry])})
        port = await asyncio.to_thread(house.__enter__)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await asyncio.to_thread(house.__exit__, None, None, None)


def test_what_is_not_run_is_known_and_few() -> None:
    assert len(NOT_RUN) <= MOST_NOT_RUN
    assert {*NOT_RUN, *SHOWN} <= {block.first for block in BLOCKS}, "a block that is gone needs no excuse"
    assert [block.place for block in BLOCKS if kind_of(block) == "unknown"] == [], (
        "nothing is known to run this"
    )


@blocks("python")
def test_python_of_the_pages_runs(block: Block) -> None:
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(block.text, block.place, "exec", dont_inherit=True), names)
    if "Agent(" in block.text:
        assert isinstance(names["agent"], Agent)
        assert names["agent"].tools


@blocks("talking python")
async def test_python_that_talks_to_a_server_does(
    block: Block, served: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await Place(tmp_path, served).python(block.text)
    assert len(capsys.readouterr().out) > 3, "it prints what it was told"


@blocks("program")
async def test_programs_of_the_pages_run_as_they_are(block: Block, served: str, tmp_path: Path) -> None:
    assert len(await Place(tmp_path, served).program(block.text)) > 3, "it prints what it was told"


@pytest.mark.clients
async def test_the_code_about_the_relay_runs_before_azure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = [block for block in BLOCKS if block.page == "docs/gateway.md" and block.language == "python"]
    async with before_a_service(tmp_path) as address:
        await Place(tmp_path, address).python(block.text)
    assert len(capsys.readouterr().out) > 3


@blocks("curl")
async def test_requests_of_the_pages_are_answered(block: Block, served: str, tmp_path: Path) -> None:
    environment = {"KAIWA_API_KEY": "any"}
    if "$STREAM_ID" in block.text:
        environment |= {"STREAM_ID": await _stream_at(served), "LAST_ID": "0"}
    assert await Place(tmp_path, served, environment).shell(block.text)


async def _stream_at(address: str) -> str:
    """Ask for a stream that may be taken up again, and leave it."""
    asked = {"prompt": "どんなお店がありますか", "agent": "rentacar", "resume": True}
    async with (
        aiohttp.ClientSession(address) as web,
        web.post("/api/chat-stream", json=asked) as answer,
    ):
        return answer.headers["x-stream-id"]


@blocks("answer")
async def test_an_answer_that_a_page_shows_is_the_one_that_comes(
    block: Block, served: str, tmp_path: Path
) -> None:
    asked = next(one for one in BLOCKS if one.page == block.page and one.text.startswith("curl"))
    told = await Place(tmp_path, served).shell(asked.text)
    lines = [line.strip() for line in told.splitlines()]
    for line in filter(None, block.text.splitlines()):
        assert any(one.startswith(line.removesuffix("…")) for one in lines), line


@blocks("js")
async def test_scripts_of_pages_run_in_node(block: Block, served: str, tmp_path: Path) -> None:
    await Place(tmp_path, served).node(block.text)


@blocks("json")
def test_json_of_the_pages_is_json(block: Block) -> None:
    decoder, text = json.JSONDecoder(), block.text.strip()
    while text:  # some blocks hold one event after another
        _, end = decoder.raw_decode(text)
        text = text[end:].strip()


@blocks("toml")
def test_files_of_the_pages_are_read(block: Block, tmp_path: Path) -> None:
    match block.page:
        case "docs/policy.md" | "docs/budgets.md" if block.text.startswith("currency"):
            Prices(**tomllib.loads(block.text))
        case "docs/policy.md" | "docs/budgets.md":
            read_document(block.text.encode())
        case "docs/callers.md":
            (tmp_path / "my.toml").write_text(block.text, "utf-8")
            assert load_scenario(str(tmp_path / "my.toml"))
        case "docs/pool.md":
            assert read_deployments(
                _with_key_files(block.text, tmp_path), "toml", "KAIWA_UPSTREAMS", Credentials()
            )
        case _:
            (tmp_path / "kaiwa.toml").write_text(_with_key_files(block.text, tmp_path), "utf-8")
            read_configuration(environ={}, folder=tmp_path).demand()


def _with_key_files(text: str, folder: Path) -> str:
    (folder / "a.key").write_text("key")
    return re.sub(r"/run/secrets/[\w-]+", str(folder / "a.key"), text).replace("sk-…", "sk-x")


@blocks("settings")
async def test_settings_of_the_pages_are_settings(block: Block, tmp_path: Path) -> None:
    told = await Place(tmp_path).shell(f"set -a\n{block.text}\nset +a\nenv -0")
    _are_settings(told, tmp_path)


@blocks("make")
async def test_targets_and_settings_of_the_pages_exist(block: Block, tmp_path: Path) -> None:
    """`make -n` finds the target and what it would do; what stands before it must be settings."""
    commands = "\n".join(
        line for line in block.text.splitlines() if "make " in line or line.startswith("export ")
    )
    make = f'make() {{ env -0 >>told; command make --no-print-directory -C "{ROOT}" -n "$@"; }}\n'
    await Place(tmp_path).shell(make + commands)
    for environment in (tmp_path / "told").read_text("utf-8").split("\0PWD=")[1:]:
        _are_settings(environment, tmp_path)


def _are_settings(environment: str, folder: Path) -> None:
    pairs = [line.split("=", 1) for line in environment.split("\0") if "=" in line]
    given = {
        name: value for name, value in pairs if re.match("KAIWA_|AZURE_OPENAI|OPENAI_|AzureSignalR", name)
    }
    read = read_configuration(environ=given, folder=folder)
    read.demand()
    assert not read.warnings, [str(warning) for warning in read.warnings]
