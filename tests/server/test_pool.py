"""The pool inside the real server: its state without secrets, and a configuration that changes under a stream."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from tests.server.running import at_home, running

from kaiwa.errors import ConfigError
from kaiwa.server.reloading import Reloading
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.deployment import CHAT
from kaiwa.upstream.pool.lease import Lease

EAST = {"name": "east", "endpoint": "https://east.example", "deployment": "gpt-4o", "api_key": "east-secret"}
WEST = {
    "name": "west",
    "endpoint": "https://west.example",
    "deployment": "gpt-4o",
    "api_key": "west-secret",
    "tier": 1,
}


def take(upstreams: UpstreamPool, model: str = "gpt-4o") -> Lease:
    lease = upstreams.pool.next(model, (), None, time.monotonic())
    assert isinstance(lease, Lease), lease
    return lease


def names(upstreams: UpstreamPool) -> list[str]:
    return [member.deployment.name for member in upstreams.pool.members]


async def become(truth: Callable[[], bool]) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(10):
        while not truth():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def get(url: str, key: str | None = None) -> tuple[int, str]:
    headers = {"api-key": key} if key else {}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_the_state_is_for_who_has_the_key_and_holds_no_secret(tmp_path: Path) -> None:
    settings = at_home(tmp_path, api_key=SecretStr("of-the-house"), upstreams=json.dumps([EAST, WEST]))
    async with running(settings) as server:
        url = f"{server.addresses[0]}/api/pool"
        assert (await get(url))[0] == 401
        status, text = await get(url, "of-the-house")
    assert status == 200
    assert "secret" not in text and "example" not in text
    state = json.loads(text)
    shown = [(one["name"], one["tier"], one["condition"], one["running"]) for one in state["deployments"]]
    assert shown == [("east", 0, "free", 0), ("west", 1, "free", 0)]
    assert state["models"] == ["gpt-4o"] and state["trouble"] is None


async def test_the_page_and_its_parts_come_with_the_bounds_of_the_console(tmp_path: Path) -> None:
    async with running(at_home(tmp_path)) as server, aiohttp.ClientSession(server.addresses[0]) as http:
        for path in ["/pool", "/pool/pool.js", "/pool/pool.css", "/pool/words.js", "/pool/card.js"]:
            async with http.get(path) as answer:
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert (await get(f"{server.addresses[0]}/pool/none.js"))[0] == 404
        assert json.loads((await get(f"{server.addresses[0]}/api/pool"))[1])["deployments"] == []


def test_a_wrong_configuration_stops_the_start_and_names_the_entry(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"KAIWA_UPSTREAMS, entry 1 \(east\), weight"):
        UpstreamPool(at_home(tmp_path, upstreams=json.dumps([EAST | {"weight": 0}])))
    with pytest.raises(ConfigError, match="names no file") as wrong:
        UpstreamPool(at_home(tmp_path, upstreams="sk-a-key-in-the-wrong-place"))
    assert "sk-" not in str(wrong.value)


async def test_a_changed_file_is_taken_up_while_a_stream_runs(tmp_path: Path) -> None:
    file = tmp_path / "upstreams.toml"
    file.write_text('[[upstreams]]\nname = "a"\nbase_url = "http://127.0.0.1:1/v1"\n')
    upstreams = UpstreamPool(at_home(tmp_path, upstreams=str(file)), look_every_s=0.02)
    async with upstreams.watched():
        stream = take(upstreams)
        file.write_text('[[upstreams]]\nname = "b"\nbase_url = "http://127.0.0.1:2/v1"\n')
        await become(lambda: names(upstreams) == ["b", "a"])
        assert take(upstreams).deployment.name == "b"
        stream.ended("completed", None, time.monotonic())
        assert names(upstreams) == ["b"]

        file.write_text("[[upstreams]\n")
        await become(lambda: upstreams.trouble is not None)
        assert names(upstreams) == ["b"] and "is no TOML" in str(upstreams.trouble)
        file.write_text('[[upstreams]]\nname = "c"\nbase_url = "http://127.0.0.1:3/v1"\n')
        await become(lambda: upstreams.trouble is None and names(upstreams)[0] == "c")


async def test_sighup_reads_keys_anew_and_the_process_lives(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("first-key")
    entry: dict[str, Any] = {key: value for key, value in EAST.items() if key != "api_key"}
    written = json.dumps([entry | {"api_key_file": str(tmp_path / "key")}])
    settings = at_home(tmp_path, upstreams=written)
    upstreams = UpstreamPool(settings, look_every_s=0.02)
    reloading = Reloading(settings, None, lambda _: lambda: None, upstreams.reload)
    async with upstreams.watched(), reloading.running():
        lease = take(upstreams)
        lease.answered(401, {}, time.monotonic())
        lease.ended("refused", None, time.monotonic())
        assert not isinstance(upstreams.pool.next("gpt-4o", (), None, time.monotonic()), Lease)
        os.kill(os.getpid(), signal.SIGHUP)
        await become(lambda: isinstance(upstreams.pool.next("gpt-4o", (), None, time.monotonic()), Lease))
        (tmp_path / "key").write_text("second-key")
        await become(lambda: upstreams.pool.members[0].running == 0)
        assert await take(upstreams).deployment.credential.headers() == {"api-key": "second-key"}


@pytest.mark.parametrize(
    ("given", "kind", "path", "models"),
    [
        (
            {"chat_base_url": "http://127.0.0.1:1/v1", "chat_model": "qwen3"},
            "compatible",
            "/v1/chat/completions",
            ("qwen3",),
        ),
        (
            {
                "azure_openai_endpoint": "https://me.example",
                "azure_openai_api_key": "k",
                "azure_openai_chat_deployment": "my-4o",
            },
            "azure",
            "/openai/v1/chat/completions",
            ("my-4o",),
        ),
        (
            {
                "azure_openai_endpoint": "https://me.example/openai",
                "azure_openai_api_key": "k",
                "azure_openai_chat_deployment": "my-4o",
                "azure_openai_api_version": "2024-10-21",
            },
            "azure-classic",
            "/openai/deployments/my-4o/chat/completions?api-version=2024-10-21",
            ("my-4o",),
        ),
        ({"openai_api_key": "sk-1", "engine": "relay"}, "openai", "/v1/chat/completions", ()),
    ],
)
def test_the_names_that_people_know_are_a_pool_of_one(
    tmp_path: Path, given: dict[str, Any], kind: str, path: str, models: tuple[str, ...]
) -> None:
    upstreams = UpstreamPool(at_home(tmp_path, **given))
    lease = take(upstreams, models[0] if models else "gpt-4o")
    target = lease.deployment.target(CHAT, lease.model)
    assert (lease.deployment.kind, target.path, upstreams.pool.models) == (kind, path, models)


def test_a_key_of_openai_that_lies_around_relays_nothing(tmp_path: Path) -> None:
    assert names(UpstreamPool(at_home(tmp_path, openai_api_key="sk-1"))) == []


def test_second_attempts_are_made_only_when_they_are_asked_for(tmp_path: Path) -> None:
    both = json.dumps([EAST, {**WEST, "tier": 0}])
    for given, after_s in [({}, None), ({"hedge_after_ms": 700, "hedge_share": 1.0}, 0.7)]:
        upstreams = UpstreamPool(at_home(tmp_path, upstreams=both, **given))
        take(upstreams)
        assert upstreams.pool.hedge_after("gpt-4o", time.monotonic()) == after_s
    assert at_home(tmp_path, hedge_after_ms="auto").hedge_after_ms == "auto"
