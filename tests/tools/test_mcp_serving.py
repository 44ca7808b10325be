"""`kaiwa mcp` as a stock client sees it: a process over stdio and over HTTP, in the old protocol and the new."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult
from tests.tools.test_mcp import line_to

from kaiwa.cli.mcp import McpOptions, run
from kaiwa.errors import ConfigError
from kaiwa.tools.mcp_servers import McpServer
from kaiwa.tools.mcp_serving import IDEMPOTENCY_KEY

HERE = Path(__file__).parent
KEY = "sk-of-the-tools"
PATIENCE_S = 30.0
DESK = "serving_desk:agent"
# "legacy" is the handshake of 2025, in which the server asks back; "auto" comes to that of 2026.
WAYS = (("stdio", "legacy"), ("http", "legacy"), ("http", "auto"))


def environment(log: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAIWA_")}
    return {**kept, "PYTHONPATH": str(HERE), "SERVING_LOG": str(log), **more}


def by_stdio(log: Path, *arguments: str) -> StdioServerParameters:
    command = ["-m", "kaiwa", "mcp", *(arguments or (DESK,))]
    return StdioServerParameters(command=sys.executable, args=command, env=environment(log), cwd=log.parent)


@contextlib.contextmanager
def by_http(log: Path, *arguments: str, **more: str) -> Iterator[str]:
    """Start `kaiwa mcp --http` and yield its address."""
    command = [sys.executable, "-m", "kaiwa", "mcp", *(arguments or (DESK,)), "--http", "--port", "0"]
    started = environment(log, **more)
    with subprocess.Popen(command, env=started, stderr=subprocess.PIPE, text=True, cwd=log.parent) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"it did not begin: {line}{process.stderr.read()}"
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE_S)
            finally:
                process.kill()


@contextlib.asynccontextmanager
async def talking(to: Any, **given: Any) -> AsyncIterator[Client]:
    async with asyncio.timeout(PATIENCE_S), Client(to, cache=None, **given) as client:
        yield client


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """One process over HTTP for all tests: its address, and where it notes what it did."""
    log = tmp_path_factory.mktemp("desk") / "log"
    with by_http(log) as url:
        yield url, log


@pytest.fixture
def log(desk: tuple[str, Path]) -> Path:
    desk[1].unlink(missing_ok=True)
    return desk[1]


@pytest.fixture
def url(desk: tuple[str, Path], log: Path) -> str:
    return desk[0]


def done(log: Path) -> list[str]:
    return log.read_text("utf-8").splitlines() if log.exists() else []


async def until(log: Path, line: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while line not in done(log):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("way", "era"), WAYS)
async def test_tools_are_listed_called_and_fail_as_they_say(way: str, era: Any, url: str, log: Path) -> None:
    async with talking(by_stdio(log) if way == "stdio" else url, mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        number = tools["double"].input_schema["properties"]["number"]
        assert (number["type"], number["minimum"], number["description"]) == (
            "integer",
            0,
            "what to double",
        )
        hints = {name: tool.annotations for name, tool in tools.items()}
        assert hints["double"].read_only_hint is True and hints["double"].idempotent_hint is True
        assert hints["book"].read_only_hint is False and hints["book"].destructive_hint is True
        assert hints["book"].idempotent_hint is False

        assert (await client.call_tool("double", {"number": 21})).content[0].text == "42"
        found = await client.call_tool("search", {})
        assert found.structured_content == {"found": 2} and not found.is_error
        for name, arguments, words in (
            ("double", {"number": -1}, "number"),
            ("refuse", {}, "Closed on Mondays."),
            ("stumble", {}, "broke off"),
        ):
            failed = await client.call_tool(name, arguments)
            assert failed.is_error and words in failed.content[0].text
            assert "secret" not in failed.content[0].text
        with pytest.raises(MCPError, match="no tool"):
            await client.call_tool("drop_tables", {})


async def heard_progress(client: Client) -> list[tuple[float, str | None]]:
    told: list[tuple[float, str | None]] = []

    async def heed(progress: float, total: float | None, text: str | None) -> None:
        told.append((progress, text))

    await client.call_tool("search", {}, progress_callback=heed)
    return told


@pytest.mark.parametrize(("way", "era"), WAYS)
async def test_reports_never_go_back_and_a_cancelled_call_is_stopped(
    way: str, era: Any, url: str, log: Path
) -> None:
    async with talking(by_stdio(log) if way == "stdio" else url, mode=era) as client:
        told = await heard_progress(client)
        call = asyncio.create_task(client.call_tool("wait", {}))
        await until(log, "began")
        call.cancel()
        await until(log, "stopped")
        assert (await client.call_tool("double", {"number": 1})).content[0].text == "2"
    assert [text for _, text in told] == ["half", "one so far", "still half"]
    assert told[0][0] == 0.5 and sorted({far for far, _ in told}) == [far for far, _ in told]


def answering(*actions: str) -> tuple[list[str], Callable[..., Any]]:
    asked: list[str] = []
    left = list(actions)

    async def elicited(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=left.pop(0), content={})  # type: ignore[arg-type]

    return asked, elicited


@pytest.mark.parametrize(("way", "era"), WAYS[1:])
async def test_a_change_to_be_confirmed_is_read_back_to_the_user(
    way: str, era: Any, url: str, log: Path
) -> None:
    asked, elicited = answering("decline", "accept")
    async with talking(
        by_stdio(log) if way == "stdio" else url, mode=era, elicitation_callback=elicited
    ) as client:
        refused = await client.call_tool("book", {"car": "red"})
        assert refused.is_error and not done(log)
        booked = await client.call_tool("book", {"car": "red"})
    assert booked.structured_content == {"car": "red"} and len(done(log)) == 1
    assert len(asked) == 2 and "red" in asked[0]


async def test_without_elicitation_it_is_refused_unless_the_client_confirms(url: str, log: Path) -> None:
    async with talking(url) as client:
        refused = await client.call_tool("book", {"car": "red"})
        assert refused.is_error and "--client-confirms" in refused.content[0].text and not done(log)
    async with talking(by_stdio(log, DESK, "--client-confirms")) as client:
        assert not (await client.call_tool("book", {"car": "red"})).is_error
    assert len(done(log)) == 1


async def test_calls_with_one_key_are_one_change_and_without_one_each_is_meant(url: str, log: Path) -> None:
    meta: Any = {IDEMPOTENCY_KEY: "order-7"}
    async with talking(url) as client:
        for _ in range(2):
            assert not (await client.call_tool("change", {"car": "red"}, meta=meta)).is_error
        assert len(done(log)) == 1
        for _ in range(2):
            assert not (await client.call_tool("change", {"car": "red"})).is_error
        with pytest.raises(MCPError, match="255"):
            await client.call_tool("change", {"car": "red"}, meta={IDEMPOTENCY_KEY: "x" * 256})
    keys = {line.split()[-1] for line in done(log)}
    assert len(done(log)) == len(keys) == 3


async def test_over_http_a_key_is_asked_for_and_foreign_pages_are_not_let_in(log: Path) -> None:
    with by_http(log, KAIWA_API_KEY=KEY) as url:
        async with httpx2.AsyncClient() as stranger:
            assert (await stranger.post(url, json={})).status_code == 401
            origin = {"Origin": "https://elsewhere.example", "Authorization": f"Bearer {KEY}"}
            assert (await stranger.post(url, json={}, headers=origin)).status_code == 403
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as known,
            talking(streamable_http_client(url, http_client=known)) as client,
        ):
            assert (await client.call_tool("double", {"number": 2})).content[0].text == "4"


def test_a_wide_address_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAIWA_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="KAIWA_API_KEY"):
        run(McpOptions(http=True, host="0.0.0.0", port=0))


async def test_kaiwa_uses_its_own_desk_as_a_source_of_tools(log: Path) -> None:
    command = ("-m", "kaiwa", "mcp", "--client-confirms", "--database", str(log.parent / "desk.db"))
    server = McpServer("desk", command=sys.executable, args=command, env=environment(log))
    async with line_to(server) as line:
        told = await line.heard()
        assert {"list_locations", "create_reservation"} <= {tool.name for tool in told.tools}
        booked = await line.call(
            "create_reservation",
            locationId="loc1",
            startDate="2099-07-01T10:00",
            endDate="2099-07-01T18:00",
            customerName="山田",
        )
        assert not booked.failed and "R-" in booked.output
        found = await line.call("find_reservation", customerName="山田")
        assert "R-" in found.output
        assert (await line.call("create_reservation", locationId="loc9")).failed
