"""Stock clients in a page of Chromium, as Microsoft builds them for browsers; the hub is on another origin."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, async_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PATIENCE_S = 30.0
BUILDS = "/node_modules/@microsoft"
RUN = """job => import('/signalr-acts.mjs').then(({ signalrActs }) =>
  signalrActs(signalR, signalR.protocols.msgpack, job, window.cutTheLine)[job.act]())"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    binary = shutil.which("chromium")
    assert binary is not None, "there is no chromium; run scripts/setup-clients.sh"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        await browser.close()


async def run_in_page(
    browser: Browser, origin: str, cut: Callable[[], None], job: dict[str, Any]
) -> dict[str, Any]:
    """Return what the client saw in a fresh page of `origin`, which serves tests/clients/js."""
    suffix = "-9" if job["version"] == 9 else ""
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    told: list[str] = []
    page.on("console", lambda said: told.append(said.text))
    await page.expose_function("cutTheLine", cut)
    await page.goto(f"{origin}/page")
    for package, file in (("signalr", "signalr"), ("signalr-protocol-msgpack", "signalr-protocol-msgpack")):
        await page.add_script_tag(url=f"{BUILDS}/{package}{suffix}/dist/browser/{file}.js")
    try:
        async with asyncio.timeout(PATIENCE_S):
            saw: dict[str, Any] = await page.evaluate(RUN, job)
    except TimeoutError:
        raise AssertionError(f"nothing more happened: {job['act']}, {told[-5:]}") from None
    await page.close()
    return saw
