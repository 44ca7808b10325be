"""The page of deployments: what changes is seen at once, by everybody, and nothing leaves the machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Route
from tests.browser.conftest import Launch
from tests.browser.test_console_reach import AXE
from tests.server.running import InThisLoop, at_home, running

from kaiwa.server.pool_state import PoolView
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.lease import Lease

pytestmark = pytest.mark.clients

UPSTREAMS = json.dumps(
    [
        {
            "name": "ptu",
            "endpoint": "https://a.example",
            "deployment": "gpt-4o",
            "api_key": "k",
            "max_concurrent": 4,
        },
        {"name": "paygo", "endpoint": "https://b.example", "deployment": "gpt-4o", "api_key": "k", "tier": 1},
    ]
)


@asynccontextmanager
async def pool_page(tmp_path: Path) -> AsyncIterator[tuple[UpstreamPool, str]]:
    """A pool that the test plays with, and the address of its page."""
    settings = at_home(tmp_path, upstreams=UPSTREAMS)
    upstreams = UpstreamPool(settings)
    view = PoolView(upstreams)
    routes = [
        Route("/api/pool", view.state),
        Route("/pool", view.shown.page),
        Route("/pool/{name}", view.shown.part),
    ]
    listens = asyncio.Event()
    server = InThisLoop(Starlette(routes=routes), settings, lambda _: listens.set())
    serving = asyncio.create_task(server.serve_here())
    async with asyncio.timeout(10):
        await listens.wait()
    try:
        yield upstreams, f"{server.addresses[0]}/pool"
    finally:
        server.leave.set()
        await serving


@asynccontextmanager
async def watched(browser: Browser, url: str, **context: Any) -> AsyncIterator[Page]:
    """Open a page, and complain at the end about errors, breaches of its policy and foreign hosts."""
    page = await (await browser.new_context(**context)).new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    page.on("request", lambda request: complaints.extend(foreign(request.url)))
    await page.goto(url)
    yield page
    assert complaints == []


def foreign(url: str) -> list[str]:
    return [] if urlsplit(url).hostname == "127.0.0.1" else [url]


def take(upstreams: UpstreamPool, *tried: str) -> Lease:
    lease = upstreams.pool.next("gpt-4o", tried, None, time.monotonic())
    assert isinstance(lease, Lease)
    return lease


async def test_what_happens_to_a_deployment_is_seen_without_a_reload(launch: Launch, tmp_path: Path) -> None:
    async with pool_page(tmp_path) as (upstreams, url), watched(await launch(), url, locale="en-GB") as page:
        ptu, paygo = page.locator(".deployment").nth(0), page.locator(".deployment").nth(1)
        await expect(ptu.locator(".badge")).to_have_text("taking requests")
        lease = take(upstreams)
        await expect(ptu).to_contain_text("1 of 4")
        await expect(ptu.locator("circle.taken")).to_have_count(1)

        now = time.monotonic()
        lease.answered(200, {"azure-openai-deployment-utilization": "99%"}, now)
        lease.first_token(now + 0.25)
        await expect(ptu.locator(".badge")).to_have_text("nearly full")
        await expect(ptu.locator(".spark rect")).to_have_count(1)

        refused = take(upstreams)
        assert refused.deployment.name == "paygo"
        refused.answered(429, {"retry-after": "86400"}, time.monotonic())
        refused.ended("refused", None, time.monotonic())
        await expect(paygo.locator(".badge")).to_have_text("resting")
        await expect(paygo).to_contain_text("again in 24.0 h")
        await expect(page.locator("#said")).to_have_text("paygo: resting")

        await page.get_by_role("button", name="日本語").click()
        await expect(paygo.locator(".badge")).to_have_text("休止中")


@pytest.mark.parametrize(("locale", "light"), [("ja-JP", "light"), ("en-GB", "dark")])
async def test_no_barrier_is_found_whatever_the_state(
    launch: Launch, tmp_path: Path, locale: str, light: Literal["light", "dark"]
) -> None:
    context = {"locale": locale, "color_scheme": light, "bypass_csp": True}
    async with pool_page(tmp_path) as (upstreams, url), watched(await launch(), url, **context) as page:
        lease = take(upstreams)
        lease.answered(401, {}, time.monotonic())
        lease.ended("refused", None, time.monotonic())
        take(upstreams).answered(200, {"azure-openai-deployment-utilization": "80%"}, time.monotonic())
        await expect(page.locator(".badge.disabled")).to_be_visible()
        await page.add_script_tag(path=AXE)
        found = await page.evaluate("axe.run()")
        assert [
            (one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]
        ] == []


async def test_the_key_of_the_house_is_asked_for_where_there_is_one(launch: Launch, tmp_path: Path) -> None:
    async with (
        running(at_home(tmp_path, api_key=SecretStr("of-the-house"), upstreams=UPSTREAMS)) as server,
        watched(await launch(), f"{server.addresses[0]}/pool", locale="en-GB") as page,
    ):
        await page.get_by_label("Key of this server").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("This key is wrong.")
        await page.get_by_label("Key of this server").fill("of-the-house")
        await page.keyboard.press("Enter")
        await expect(page.locator(".deployment")).to_have_count(2)
        await expect(page.get_by_label("Key of this server")).to_be_hidden()
