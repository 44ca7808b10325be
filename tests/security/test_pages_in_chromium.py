"""The pages in Chromium: nothing they need is forbidden, and nothing of theirs carries a secret."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error as Gone
from playwright.async_api import Page, expect
from tests.browser.conftest import Launch, launch
from tests.browser.console import Console
from tests.browser.scripted import scripted
from tests.chainlit.page import PYTHON, until_it_answers
from tests.security.planted import SECRETS, leaks

__all__ = ["launch"]
pytestmark = pytest.mark.clients
PATIENCE_S = 15
PAGES = (
    ("/", "websocket"),
    ("/", "sse"),
    ("/signalr", ""),
    ("/status", ""),
    ("/pool", ""),
    ("/docs", ""),
    ("/chat/", ""),
)
"""And how to talk there."""
_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  window.tellForbidden(`${location.pathname}: ${event.violatedDirective} ${event.blockedURI}`));
"""
_PLANT = "document.body.append(Object.assign(new Image(), {src: 'http://elsewhere.invalid/picture.png'}))"


async def talk(page: Page, carrier: str) -> None:
    """Have a conversation with a tool in the console."""
    console = Console(page, "en")
    await console.start(agent="rentacar-en", carrier=carrier)
    await console.write("お店はどこですか")
    await expect(console.agent.last).to_have_text("三店舗あります。", timeout=PATIENCE_S * 1000)


async def test_pages_run_under_their_policies_and_carry_no_secret(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PYTHON.exists(), "The Chainlit page is not installed: run scripts/setup-chainlit.sh"
    monkeypatch.setenv("KAIWA_CHAINLIT_DATABASE", str(tmp_path / "threads.db"))
    secrets = {
        "azure_openai_api_key": SECRETS["key of the service"],
        "openai_api_key": SECRETS["key of OpenAI"],
        "signalr_service_key": SECRETS["access key of SignalR"],
    }
    seen: list[bytes] = []
    browser = await launch()
    async with scripted(tmp_path, chainlit=True, **secrets) as kaiwa:
        await until_it_answers(f"{kaiwa}/chat/")
        page: Page = await browser.new_page(locale="en-GB")
        forbidden: asyncio.Queue[str] = asyncio.Queue()
        await page.expose_function("tellForbidden", forbidden.put_nowait)
        await page.add_init_script(_WATCH)

        async def keep(answer: Any) -> None:
            with suppress(Gone):  # what still came when its page went away
                seen.append(f"{answer.url} {await answer.request.all_headers()}".encode())
                if answer.status == 200:
                    seen.append(await answer.body())

        keeping: list[asyncio.Task[None]] = []
        page.on("response", lambda answer: keeping.append(asyncio.ensure_future(keep(answer))))
        page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda frame: seen.append(str(frame).encode())),
        )
        for path, carrier in PAGES:
            await page.goto(kaiwa + path)
            if path == "/chat/":
                await page.locator("#chat-input").wait_for(timeout=20_000)
            if path in ("/status", "/pool"):
                await expect(page.locator("#sum")).not_to_be_empty()
            if carrier:
                await talk(page, carrier)
            if keeping:  # a body is gone once the page is
                await asyncio.wait(keeping, timeout=PATIENCE_S)
        await page.goto(kaiwa)
        await page.evaluate(_PLANT)
        first = await asyncio.wait_for(forbidden.get(), PATIENCE_S)
        assert first == "/: img-src http://elsewhere.invalid/picture.png", "nothing before it was forbidden"
        await page.close()
        await asyncio.gather(*keeping, return_exceptions=True)
    told = b"\n".join(seen)
    assert len(seen) > 20 and b"response.done" in told and b"/api/chat-stream" in told, "they talked"
    assert leaks(told, SECRETS) == []
