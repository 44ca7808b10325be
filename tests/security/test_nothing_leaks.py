"""Secrets and words stay where they belong: real servers, all doors, everything that goes wrong, and a search."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.redis_server import RedisProcess
from tests.security import traffic
from tests.security.desk import NOWHERE, Given, environment, local, relaying, server, service_script
from tests.security.planted import GIVEN_AWAY, SECRETS, WORDS, leaks
from tests.security.traffic import Client
from tests.server.collector import collecting

from kaiwa.cli.local_server import free_port
from kaiwa.testing.service import Faults, Service, running_service

LOGS = ("stdout", "stderr")
TRACES = "traces"


Act = Callable[[Client], Awaitable[None]]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return all_given(tmp_path_factory.mktemp("leaks"))


def all_given(folder: Path, also: Sequence[Act] = ()) -> Given:
    """Let the servers run, and everything be done with them; `also`: beside that, at the first."""
    redis, port = RedisProcess(folder), free_port()
    redis.start()
    assert redis.command("CONFIG", "SET", "requirepass", SECRETS["password of Redis"]) == b"+OK\r\n"
    desk = Path(__file__).parents[1] / "tools/mcp_desk.py"
    words = [sys.executable, str(desk), "http", str(port), SECRETS["token of an MCP server"]]
    notes = subprocess.Popen(words)
    try:
        return asyncio.run(everything(folder, redis.port, port, also))
    finally:
        notes.kill()
        notes.wait(10)
        redis.stop()


async def everything(folder: Path, redis_port: int, mcp_port: int, also: Sequence[Act]) -> Given:
    given = Given()
    keys = tuple(SECRETS[name] for name in ("key of the service", "key in a file", "key of the chat model"))
    async with (
        running_service(service_script(WORDS["words spoken"]), keys=keys) as service,
        collecting() as collector,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as web,
    ):
        settings, them = relaying(folder, service, redis_port)
        ports = free_port(), free_port()
        first, second = (f"http://127.0.0.1:{port}" for port in ports)
        beside = local(first, service, mcp_port)
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        async with AsyncExitStack() as servers:
            await asyncio.gather(
                servers.enter_async_context(server("first", folder, ports[0], settings | traced, given)),
                servers.enter_async_context(server("second", folder, ports[1], beside | traced, given)),
            )
            master = Client("first", first, SECRETS["key of the house"], given, web)
            await asyncio.gather(
                use_first(master, them),
                *(act(master) for act in also),
                use_second(Client("second", second, "", given, web), service),
            )
        given.add(TRACES, b"\n".join(collector.raw))
        assert {"conversation", "chat", "execute_tool"} <= {span.name.split()[0] for span in collector.spans}
    return given


async def use_first(client: Client, them: traffic.Credentials) -> None:
    await traffic.use_the_relay(client, them)
    await traffic.ask_in_text(client)
    await traffic.book(client)
    await traffic.talk(client)
    await traffic.talk(client, "2025-04-01-preview")
    await traffic.be_refused(client)
    await traffic.get_keys(client)
    await traffic.make_a_call(client)
    await traffic.use_the_hub(client)
    client.given.minted["token of a user"], client.given.minted["key of a program"] = them.user, them.program
    await traffic.look_around(client, keyed=True)


async def use_second(client: Client, service: Service) -> None:
    await traffic.ask_in_text(client)
    await traffic.use_mcp(client)
    await traffic.book(client, error=True)
    await traffic.use_the_hub(client)
    service.strike("gpt-4.1", Faults(http_status=401))
    await client.post(
        "/api/chat-stream", {"prompt": WORDS["words of an upstream that fails"], "agent": "wishes"}
    )
    await traffic.look_around(client, keyed=False)


def found(given: Given, planted: dict[str, str], *, where: tuple[str, ...] = ()) -> list[str]:
    """Return "place: word" for everything found in these places; in all without any."""
    places = [place for place in given.seen if not where or any(name in place for name in where)]
    return [f"{place}: {name}" for place in places for name in leaks(given.seen[place], planted)]


def test_no_secret_is_given_away_anywhere(given: Given) -> None:
    assert found(given, SECRETS) == []


@pytest.mark.clients
def test_no_secret_is_given_away_while_entra_cannot_be_reached(tmp_path: Path) -> None:
    """It is tried for five seconds, with a client's secret in the environment."""
    assert found(all_given(tmp_path, also=(traffic.ask_without_a_token,)), SECRETS) == []


def test_no_secret_that_a_server_made_is_in_its_logs_pages_and_errors(given: Given) -> None:
    assert len(given.minted) == 7, sorted(given.minted)
    assert found(given, given.minted) == []


def test_no_word_that_was_said_or_typed_is_in_logs_figures_and_pages(given: Given) -> None:
    public = (*LOGS, TRACES, *(f": {path}" for path in (*traffic.PUBLIC, *traffic.KEYED)))
    assert found(given, WORDS, where=public) == []


@pytest.mark.clients
@pytest.mark.parametrize("house", ["relaying", "local"])
async def test_no_secret_is_in_what_the_doctor_and_the_configuration_tell(tmp_path: Path, house: str) -> None:
    """Nothing answers where these settings point, or it refuses: so much goes wrong, and all of it is told."""
    async with running_service() as service:
        settings, _ = relaying(tmp_path, service, NOWHERE)
        if house == "local":
            settings = local(f"http://127.0.0.1:{NOWHERE}", service, NOWHERE)
        said = await asyncio.gather(
            *(
                told_by(tmp_path, settings, *command.split())
                for command in (
                    "doctor",
                    "doctor --json",
                    "config show",
                    "config show --json",
                    "config check",
                )
            )
        )
    told = b"\n".join(said)
    assert b"KAIWA_DATABASE" in told and b"upstream.chat" in told
    assert leaks(told, SECRETS) == []


async def told_by(folder: Path, settings: dict[str, str], *command: str) -> bytes:
    """Return all that a command of kaiwa says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kaiwa", *command, cwd=folder, env=environment(folder, settings),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(120):
        return (await process.communicate())[0]


def test_the_search_finds_what_a_tool_gives_away(given: Given) -> None:
    """The planted fault of every run: one tool logs and prints what it was told."""
    told = found(given, {"told": GIVEN_AWAY})
    assert sorted(told) == [f"{house}: {log}: told" for house in ("first", "second") for log in sorted(LOGS)]
