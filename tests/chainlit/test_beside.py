"""The Chainlit page under /chat on kaiwa's own port: proxied, guarded by keys, and no danger to the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.scripted import scripted, voice
from tests.chainlit.page import PYTHON, chat, until_it_answers

from kaiwa.server.chainlit import ChatPage
from kaiwa.server.settings import Settings


@asynccontextmanager
async def beside(directory: Path, monkeypatch: pytest.MonkeyPatch, **given: object) -> AsyncIterator[str]:
    """kaiwa with the page beside it; gives the page's address once it answers."""
    assert PYTHON.exists(), "The Chainlit page is not installed: run scripts/setup-chainlit.sh"
    monkeypatch.setenv("KAIWA_CHAINLIT_DATABASE", str(directory / "threads.db"))
    async with scripted(directory, chainlit=True, **given) as kaiwa:
        await until_it_answers(f"{kaiwa}/chat/")
        yield f"{kaiwa}/chat/"


@pytest.mark.clients
async def test_the_page_talks_and_types_on_the_servers_own_port(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await launch()
    async with beside(tmp_path, monkeypatch) as url, chat(browser, url) as page:
        await page.write("はじめまして")
        await expect(page.agent).to_have_text(["はじめまして ですね。"])
        await page.talk()
        began = await page.now()
        await page.say(voice(1500))
        await expect(page.caller.last).to_have_text("東京でレンタカーを借りたいです。", timeout=20_000)
        await page.until_loud(began)
        assert all("/chat/" in asked for asked in page.asked)
        async with aiohttp.request("GET", url) as answer:
            told_once = [answer.headers.getall(name) for name in ("date", "server")]
        assert [len(values) for values in told_once] == [1, 1]


@pytest.mark.clients
async def test_where_callers_need_a_key_the_visitor_logs_in_with_one(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await launch()
    async with beside(tmp_path, monkeypatch, api_key="open-sesame") as url:
        context = await browser.new_context(locale="ja-JP")
        page = await context.new_page()
        await page.goto(url)
        for key in ("wrong", "open-sesame"):
            await page.locator("input[name=email], #email").fill("hana")
            await page.locator("input[type=password]").fill(key)
            await page.locator("button[type=submit]").click()
            if key == "wrong":
                await expect(
                    page.get_by_role("alert").or_(page.locator(".text-red-500, .alert"))
                ).not_to_have_count(0)
        await expect(page.locator("#chat-input")).to_be_visible(timeout=20_000)
        await page.locator("#chat-input").click()
        await page.keyboard.type("はじめまして")
        await expect(page.locator("#chat-submit")).to_be_enabled()
        await page.locator("#chat-submit").click()
        await expect(page.locator("[data-step-type=assistant_message]")).to_have_text("はじめまして ですね。")


async def test_an_address_whose_page_is_not_set_up_says_how_to_do_it(tmp_path: Path) -> None:
    page = ChatPage(Settings(_env_file=None), keyed=False, home=tmp_path)  # type: ignore[call-arg]
    page.start(["http://127.0.0.1:1"])
    status, text = await _asked(page)
    assert (status, "setup-chainlit.sh" in text) == (503, True)
    await page.close()


async def test_pages_of_other_hosts_may_not_use_the_page(tmp_path: Path) -> None:
    page = ChatPage(Settings(_env_file=None), keyed=False, home=tmp_path)  # type: ignore[call-arg]
    for origin, expected in (("https://elsewhere.example", 403), ("https://kaiwa.example", 503)):
        status, _ = await _asked(page, origin=origin)
        assert status == expected


async def _asked(page: ChatPage, **headers: str) -> tuple[int, str]:
    """Ask the page's doorway as a server would; return status and text."""
    sent: list[dict[str, Any]] = []
    named = {"host": "kaiwa.example"} | headers
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": "/chat/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await page(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()
