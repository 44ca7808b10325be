"""What the host does for functions: routes, keys, limits, bindings; on one running `kaiwa functions serve`."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from tests.functions.client import connected
from tests.functions.conftest import APPS, ROOT, served

from kaiwa.errors import ConfigError
from kaiwa.functions.messages import BindingError, GroupAction, SignalRMessage, actions_of
from kaiwa.functions.troubles import NO_STORAGE


@pytest.fixture(scope="module")
def kitchen_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the app's host and functions write to standard error."""
    return tmp_path_factory.mktemp("kitchen") / "errors.txt"


@pytest.fixture(scope="module")
def kitchen(kitchen_log: Path) -> Iterator[str]:
    """The app in a process of its own, and where it is."""
    errors = kitchen_log.open("w")
    command = [sys.executable, "-m", "kaiwa", "functions", "serve", str(APPS / "kitchen"), "--port", "0"]
    command += ["--libraries", str(ROOT / ".funcs"), "--key", "open-sesame"]
    process = subprocess.Popen(
        command, env={**os.environ, "HUB": "Chat"}, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    assert process.stdout is not None
    url = ""
    for line in process.stdout:
        if found := re.search(r"http://[\d.:]+(?=/v1/negotiate)", line):
            url = found.group()
            break
    assert url, kitchen_log.read_text()
    yield url
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdout.close()
    errors.close()
    log = kitchen_log.read_text()
    assert "open-sesame" not in log
    assert "accessToken" not in log


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def told(http: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
    async with http.get(url) as answer:
        return answer.status, (await answer.json())["error"]


async def test_a_route_gives_its_parts_and_a_function_its_headers(
    kitchen: str, http: aiohttp.ClientSession
) -> None:
    url = f"{kitchen}/v1/echo/7/a/b?q=%E4%BC%9A"
    async with http.put(url, data=b"x" * 100_000, headers={"x-own": "here"}) as answer:
        assert answer.status == 201
        assert await answer.json(content_type=None) == {
            "method": "PUT",
            "route": {"first": "7", "rest": "a/b"},
            "query": {"q": "会"},
            "header": "here",
            "length": 100_000,
        }
        assert answer.headers["x-told"] == "yes"
        assert answer.headers["set-cookie"].startswith("a=b; Path=/")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/echo/7/a", 405),
        ("PUT", "/v1/echo/seven/a", 404),
        ("GET", "/api/pid", 404),
        ("GET", "/", 200),
    ],
)
async def test_what_is_not_there_is_not_found(
    kitchen: str, http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with http.request(method, f"{kitchen}{path}") as answer:
        assert answer.status == status


async def test_a_function_that_asks_for_a_key_opens_to_the_key_alone(
    kitchen: str, http: aiohttp.ClientSession
) -> None:
    async def status(query: str = "", **headers: str) -> int:
        async with http.get(f"{kitchen}/v1/locked{query}", headers=headers) as answer:
            return answer.status

    assert await status() == 401
    assert await status("?code=open-barley") == 401
    assert await status("?code=open-sesame") == 200
    assert await status(**{"x-functions-key": "open-sesame"}) == 200


async def test_an_exception_is_told_to_the_author_and_not_to_the_caller(
    kitchen: str, kitchen_log: Path, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{kitchen}/v1/raises") as answer:
        text = await answer.text()
    assert answer.status == 500
    assert "function_failed" in text
    assert "secret" not in text
    log = await asyncio.to_thread(kitchen_log.read_text)
    assert "RuntimeError: a secret of the app" in log
    assert "a function failed function=raises" in log


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("setting", "setting_missing", "AZURE_OPENAI_DEPLOYMENT_NAME"),
        ("storage", "no_storage", "127.0.0.1:10000"),
    ],
)
async def test_known_troubles_are_told_in_both_languages(
    kitchen: str, http: aiohttp.ClientSession, path: str, code: str, words: str
) -> None:
    status, error = await told(http, f"{kitchen}/v1/{path}")
    assert (status, error["code"]) == (500, code)
    assert words in error["message"]
    assert words in error["message_ja"]


async def test_a_worker_that_dies_or_hangs_is_replaced(kitchen: str, http: aiohttp.ClientSession) -> None:
    async def pid() -> str:
        async with http.get(f"{kitchen}/v1/pid") as answer:
            assert answer.status == 200
            return await answer.text()

    first = await pid()
    assert (await told(http, f"{kitchen}/v1/crash"))[1]["code"] == "worker_ended"
    second = await pid()
    assert (await told(http, f"{kitchen}/v1/blocked"))[1]["code"] == "function_timed_out"
    assert len({first, second, await pid()}) == 3


async def test_more_than_may_wait_are_turned_away(kitchen: str, http: aiohttp.ClientSession) -> None:
    answers = await asyncio.gather(*(told(http, f"{kitchen}/v1/busy") for _ in range(4)))
    assert sorted(status for status, _ in answers) == [429, 500, 500, 500]
    assert "too_many_requests" in [error["code"] for _, error in answers]


async def test_a_users_group_outlives_the_connection(kitchen: str, http: aiohttp.ClientSession) -> None:
    async with http.post(
        f"{kitchen}/v1/send", json={"action": "add", "groupName": "late", "userId": "chiyo"}
    ) as answer:
        assert answer.status == 200
    async with connected(f"{kitchen}/v1/negotiate", "chiyo") as (listener, _):
        body = {"target": "token", "arguments": ["late"], "groupName": "late"}
        async with http.post(f"{kitchen}/v1/send", json=body) as answer:
            assert answer.status == 200
        assert (await listener.next())["arguments"] == ["late"]


async def test_what_a_client_calls_runs_a_function_and_gets_its_answer(kitchen: str) -> None:
    async with connected(f"{kitchen}/v1/negotiate", "aiko") as (listener, _):
        assert (await listener.invoke("add", 2, 3))["result"] == {"sum": 5, "user": "aiko"}

    async with connected(f"{kitchen}/v1/negotiate", "aiko") as (listener, _):
        with pytest.raises(aiohttp.WSMessageTypeError):  # as at Azure: sent away
            await listener.invoke("subtract", 2)


async def test_a_token_opens_its_own_hub_and_says_who_comes(
    kitchen: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{kitchen}/v1/negotiate", headers={"x-user": "aiko"}) as answer:
        info = await answer.json()
    claims = jwt.decode(info["accessToken"], options={"verify_signature": False})
    assert info["url"] == claims["aud"] == f"{kitchen}/client/?hub=chat"
    assert claims["asrs.s.uid"] == "aiko"

    async def status(hub: str, token: str) -> int:
        place = f"{kitchen}/client/negotiate?hub={hub}&negotiateVersion=1"
        async with http.post(place, headers={"authorization": f"Bearer {token}"}) as answer:
            return answer.status

    assert await status("chat", info["accessToken"]) == 200
    assert await status("other", info["accessToken"]) == 401
    assert await status("third", info["accessToken"]) == 401
    assert await status("chat", jwt.encode(claims, "k" * 32, algorithm="HS256")) == 401
    assert await status("chat", "") == 401


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[1]", "number"),
        ('{"arguments": []}', "without a target"),
        ('{"target": "t", "arguments": 1}', "no array"),
        ('{"action": "join", "groupName": "g", "userId": "u"}', "action other than"),
        ('{"action": "add", "userId": "u"}', "without a groupName"),
        ('{"action": "add", "groupName": "g"}', "without connectionId"),
    ],
)
def test_an_output_that_means_nothing_is_explained(text: str, words: str) -> None:
    with pytest.raises(BindingError) as raised:
        actions_of(text)
    assert words in raised.value.trouble.english
    assert "SignalR 出力" in raised.value.trouble.japanese


def test_names_of_fields_may_be_written_in_any_case() -> None:
    assert actions_of('[{"Target": "t", "Arguments": [1], "GroupName": "g"}]') == [
        SignalRMessage("t", [1], group="g")
    ]
    assert actions_of('{"Action": "removeall", "UserId": "u"}') == [GroupAction("removeAll", user_id="u")]


async def test_pages_of_the_named_origins_may_ask(tmp_path: Path) -> None:
    app = copied(tmp_path, '{"Host": {"CORS": "https://shop.example", "CORSCredentials": true}}')
    async with served(app, {"HUB": "chat"}) as running, aiohttp.ClientSession() as http:
        asks = {"origin": "https://shop.example", "access-control-request-method": "POST"}
        async with http.options(f"{running.url}/v1/send", headers=asks) as answer:
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"
            assert answer.headers["access-control-allow-methods"] == "POST"
        async with http.get(f"{running.url}/v1/pid", headers=asks) as answer:
            assert answer.headers["access-control-allow-credentials"] == "true"
        async with http.options(
            f"{running.url}/v1/send", headers={**asks, "origin": "https://evil.example"}
        ) as answer:
            assert answer.status == 403


async def test_locked_functions_are_not_opened_to_the_network_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"locked must not be open to 0\.0\.0\.0"):
        async with served(copied(tmp_path), {"HUB": "chat"}, host="0.0.0.0"):
            pytest.fail("it was served")


def test_the_storage_emulator_is_named_in_both_languages() -> None:
    assert "azurite" in NO_STORAGE.english
    assert "azurite" in NO_STORAGE.japanese


def copied(folder: Path, settings: str | None = None) -> Path:
    for name in ("host.json", "function_app.py"):
        (folder / name).write_text((APPS / "kitchen" / name).read_text(encoding="utf-8"), encoding="utf-8")
    if settings is not None:
        (folder / "local.settings.json").write_text(settings, encoding="utf-8")
    return folder
