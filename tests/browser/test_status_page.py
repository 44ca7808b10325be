"""The status page in Chromium: what happens in the house is seen without a reload, by everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from playwright.async_api import expect
from pydantic import SecretStr
from tests.browser.conftest import Launch
from tests.browser.test_console_reach import AXE
from tests.browser.test_pool_page import watched
from tests.cluster.test_status import Peer, listening, told_by
from tests.gateway.raw_upstream import raw_upstream
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures
from tests.server.running import InThisLoop, at_home, running
from tests.server.test_status import FAILS, WORKS
from tests.server.test_traces import SCRIPT, relay, speak, talking, until_answered, upstreams

from kaiwa.server.cluster.directory import this_machine
from kaiwa.server.cluster.redis import RedisDirectory
from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service.engine import ServiceEngine

pytestmark = pytest.mark.clients

KEY = "of-the-house"
PRICES = {"currency": "JPY", "models": {"gpt-4o": {"input": 1_000_000, "output": 2_000_000}}}


@asynccontextmanager
async def busy_house(directory: Path, **more: Any) -> AsyncIterator[tuple[InThisLoop, Any]]:
    """A house where somebody talks, a tool ran, requests were relayed and one deployment fails."""
    async with raw_upstream(FAILS) as bad, raw_upstream(WORKS) as good:
        given = {"upstreams": upstreams(bad.port, good.port), "prices": PRICES, **more}
        settings = at_home(directory, **given)
        async with running(settings, HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))) as server:
            await relay(server)
            async with talking(server) as socket:
                await speak(socket)
                await until_answered(socket, transcribed=True)
                yield server, socket


async def test_what_happens_is_seen_without_a_reload(launch: Launch, tmp_path: Path) -> None:
    async with (
        busy_house(tmp_path) as (server, socket),
        watched(await launch(), f"{server.addresses[0]}/status", locale="en-GB") as page,
    ):
        sessions = page.get_by_role("region", name="Conversations")
        await expect(sessions.locator(".entry")).to_have_count(1)
        await expect(sessions).to_contain_text("weather")
        await expect(sessions.locator(".badge")).to_have_text("listening")
        await expect(page.get_by_role("region", name="Tools")).to_contain_text("get_weather")
        await expect(page.get_by_role("region", name="Chat relay")).to_contain_text("tier-1")
        await expect(page.get_by_role("region", name="Recent errors")).to_contain_text("overloaded")
        await expect(page.get_by_role("region", name="Time to answer").locator("svg.spark")).to_have_count(5)
        await expect(page.get_by_role("region", name="Overview")).to_contain_text("ready")

        async with talking(server):
            await expect(sessions.locator(".entry")).to_have_count(2)
        await expect(sessions.locator(".entry")).to_have_count(1)
        await socket.close()
        await expect(sessions).to_contain_text("Nobody talks now.")

        await page.get_by_role("button", name="日本語").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("サーバーの様子")
        await expect(page.get_by_role("link", name="デプロイの様子")).to_have_attribute("href", "./pool")


async def test_all_processes_are_seen_and_each_alone(
    launch: Launch,
    tmp_path: Path,
    redis_url: str,  # noqa: F811
) -> None:
    peer = Peer(msgspec.json.encode(told_by("bbbb")))
    async with (
        listening(peer) as there,
        RedisDirectory(redis_url, there, this_machine(), mark="bbbb").running(),
        RedisDirectory(redis_url, "127.0.0.1:80", "far net:[1]", mark="cccc").running(),
        busy_house(tmp_path, redis_url=redis_url) as (server, _),
        watched(await launch(), f"{server.addresses[0]}/", locale="en-GB") as page,
    ):
        await page.get_by_role("link", name="Status").click()
        processes = page.get_by_role("region", name="Processes")
        await expect(processes.locator(".entry")).to_have_count(3)
        await expect(processes).to_contain_text("out of reach (KAIWA_PEER_HOST)")
        await expect(page.get_by_role("region", name="Overview")).to_contain_text("3 / 128")

        await processes.get_by_role("link", name="bbbb").click()
        await expect(page.get_by_role("region", name="Overview")).to_contain_text("2 / 64")
        await expect(page.get_by_role("region", name="Conversations")).to_contain_text("sess_bbbb1")
        messages = page.get_by_role("region", name="Use and limits").locator(".entry").last
        await expect(messages).to_contain_text("Azure SignalR Service")
        await expect(messages).to_contain_text("5")
        await page.get_by_role("link", name="All processes").click()
        await expect(processes.locator(".entry")).to_have_count(3)


@pytest.mark.parametrize(("locale", "light"), [("ja-JP", "light"), ("en-GB", "dark")])
async def test_no_barrier_is_found(
    launch: Launch, tmp_path: Path, locale: str, light: Literal["light", "dark"]
) -> None:
    context: dict[str, Any] = {"locale": locale, "color_scheme": light, "bypass_csp": True}
    async with (
        busy_house(tmp_path) as (server, _),
        watched(await launch(), f"{server.addresses[0]}/status", **context) as page,
    ):
        await expect(page.locator("#errors .badge")).to_be_visible()
        await page.add_script_tag(path=AXE)
        found = await page.evaluate("axe.run()")
        assert [
            (one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]
        ] == []


async def test_it_is_read_on_a_phone_and_walked_by_keys(launch: Launch, tmp_path: Path) -> None:
    phone = {"locale": "ja-JP", "viewport": {"width": 360, "height": 740}, "device_scale_factor": 2}
    async with (
        busy_house(tmp_path) as (server, _),
        watched(await launch(), f"{server.addresses[0]}/status", **phone) as page,
    ):
        await expect(page.locator("#errors .badge")).to_be_visible()
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(overflow) == 0
        walked: list[str] = []
        for _ in range(6):
            await page.keyboard.press("Tab")
            walked.append(await page.evaluate("document.activeElement.textContent"))
        assert walked == ["会話の画面", "サーバーの様子", "デプロイの様子", "API の一覧", "日本語", "English"]
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Status")


async def test_the_key_of_the_house_is_asked_for_and_a_change_is_said_aloud(
    launch: Launch, tmp_path: Path
) -> None:
    async with (
        raw_upstream(FAILS) as bad,
        running(at_home(tmp_path, api_key=SecretStr(KEY), upstreams=upstreams(bad.port))) as server,
        watched(await launch(), f"{server.addresses[0]}/status", locale="en-GB") as page,
    ):
        await page.get_by_label("Key of this server").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("This key is wrong.")
        await page.get_by_label("Key of this server").fill(KEY)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("region", name="Overview")).to_contain_text("ready")
        await relay(server, authorization=f"Bearer {KEY}")
        await expect(page.locator("#said")).to_have_text("error: overloaded, tier-0")
