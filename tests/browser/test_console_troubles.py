"""What a person is told when something is in the way, and how it goes on from there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.console import console
from tests.browser.scripted import SCRIPT, scripted

from kaiwa.cli.local_server import free_port

KEY = "a+key/with=signs"


async def test_a_refused_microphone_is_explained_and_typing_goes_on(launch: Launch, tmp_path: Path) -> None:
    browser = await launch("--deny-permission-prompts", "--use-fake-device-for-media-stream")
    async with scripted(tmp_path) as url, console(browser, url, caller=False) as page:
        await page.start("open", stage="idle")

        await expect(page.trouble).to_have_attribute("data-trouble", "microphone_denied")
        await expect(page.trouble).to_contain_text("アドレス欄の左")
        await page.trouble.get_by_role("button", name="文字で話す").click()
        await expect(page.stage).to_have_attribute("data-stage", "talking")
        await expect(page.trouble).to_have_count(0)
        await page.write("こんにちは")
        await expect(page.agent).to_have_text("こんにちは ですね。")


async def test_a_missing_microphone_is_explained(launch: Launch, tmp_path: Path) -> None:
    browser = await launch("--use-fake-ui-for-media-stream")  # allowed, but this machine has none
    async with scripted(tmp_path) as url, console(browser, url, caller=False) as page:
        await page.start("open", stage="idle")

        await expect(page.trouble).to_have_attribute("data-trouble", "no_microphone")


@pytest.mark.parametrize("carrier", ["websocket", pytest.param("webrtc", marks=pytest.mark.clients)])
async def test_a_server_that_comes_back_is_talked_to_again(
    launch: Launch, tmp_path: Path, carrier: str
) -> None:
    browser = await launch()
    port = free_port()
    async with scripted(tmp_path, port=port) as url:
        opened = console(browser, url)
        page = await opened.__aenter__()
        await page.start(carrier=carrier)
        await page.write("一つ目です")
        await expect(page.agent).to_have_text("一つ目です ですね。")
        await expect(page.floor).to_have_attribute("data-floor", "talking")  # it is heard to its end
    await expect(page.stage).to_have_attribute("data-stage", "lost")
    await expect(page.trouble).to_have_attribute("data-trouble", "server_gone")

    async with scripted(tmp_path, port=port):
        await expect(page.stage).to_have_attribute("data-stage", "talking", timeout=15_000)

        await expect(page.trouble).to_have_count(0)
        await expect(page.caller).to_have_text("一つ目です")  # kept on the page
        await expect(page.page.locator("li.divider")).to_contain_text("つなぎ直しました")
        await page.write("二つ目です")
        await expect(page.agent.last).to_have_text("二つ目です ですね。")
        await expect(page.caller).to_have_count(2)  # what the agent was told again is not shown again
        await expect(page.page.locator("li.remark")).to_have_count(0)
        await page.page.locator(".debug > summary").click()
        await page.page.locator(".debug input").fill("conversation.item.added")
        told = page.page.locator(".events > li").filter(has_text="一つ目です")
        await expect(told).to_have_count(3)  # the question twice, and the answer as it is told again
        await opened.__aexit__(None, None, None)


async def test_a_key_is_asked_for_and_stays_out_of_every_address(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path, api_key=KEY) as url, console(browser, url) as page:
        field = page.page.get_by_label("API キー")
        await field.fill("wrong")
        await page.start(stage="idle")
        await expect(page.trouble).to_have_attribute("data-trouble", "wrong_key")

        await field.fill(KEY)
        await page.start()
        await page.write("こんにちは")

        await expect(page.agent).to_have_text("こんにちは ですね。")
        await expect(page.trouble).to_have_count(0)
        assert not [url for url in page.asked if "key" in url.lower() or "ek_" in url or "signs" in url]
        assert KEY not in await page.page.evaluate("JSON.stringify(localStorage)")


async def test_a_full_server_says_so(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path, max_sessions=1) as url, console(browser, url) as first:
        await first.start()
        async with console(browser, url) as second:
            await second.start(stage="idle")

            await expect(second.trouble).to_have_attribute("data-trouble", "server_busy")
            await expect(second.trouble).to_contain_text("KAIWA_MAX_SESSIONS")


async def test_a_page_that_cannot_use_sound_still_types(launch: Launch, tmp_path: Path) -> None:
    """A name that is not this machine's, over plain http, is no secure context."""
    browser = await launch("--host-resolver-rules=MAP desk.test 127.0.0.1")
    async with (
        scripted(tmp_path, allowed_origins="*") as url,
        console(browser, url.replace("127.0.0.1", "desk.test"), caller=False) as page,
    ):
        page.local = "desk.test"
        await page.start("open", stage="idle")
        await expect(page.trouble).to_have_attribute("data-trouble", "insecure_context")
        await page.trouble.get_by_role("button", name="文字で話す").click()
        await expect(page.stage).to_have_attribute("data-stage", "talking")
        await page.write("こんにちは")

        await expect(page.agent).to_have_text("こんにちは ですね。")


async def test_a_talk_whose_time_is_over_says_so(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path, SCRIPT, session_minutes=0.05) as url, console(browser, url) as page:
        await page.start()
        async with asyncio.timeout(15):
            await expect(page.trouble).to_have_attribute("data-trouble", "session_over", timeout=15_000)
        await expect(page.stage).to_have_attribute("data-stage", "idle")
