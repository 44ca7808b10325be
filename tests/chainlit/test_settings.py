"""What a visitor chooses on the page reaches the session, and the debug view shows what passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.scripted import scripted
from tests.chainlit.page import chainlit, chat

pytestmark = pytest.mark.clients


async def test_settings_are_used_and_the_debug_view_shows_events(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as kaiwa:
        with chainlit(kaiwa, tmp_path) as url:
            async with chat(browser, url) as page:
                await page.page.locator("#chat-settings-open-modal").click()
                dialog = page.page.get_by_role("dialog")
                await expect(dialog.get_by_text("話す相手")).to_be_visible()
                await dialog.locator("#agent").click()
                await page.page.get_by_role("option", name="天気", exact=True).click()
                await dialog.locator("#debug").click()
                await dialog.locator("#instructions").fill("一言で答えてください。")
                await page.picture("chainlit-settings")
                await dialog.locator("#confirm").click()

                await page.write("はじめまして")
                await expect(page.agent.last).to_have_text("はじめまして ですね。")
                events = page.page.locator("aside, #side-view-content, [class*=side]").filter(
                    has_text="session.update"
                )
                await expect(events.first).to_contain_text("response.done", timeout=15_000)
                await expect(events.first).to_contain_text("一言で答えてください。")
                await expect(events.first).to_contain_text('"threshold": 0.6')
                await page.picture("chainlit-debug")
