"""Whole conversations on the Chainlit page with the real engine: spoken, recognised, looked up and booked."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.chainlit.page import chainlit, chat
from tests.server.live_server import live_server

from kaiwa.apps.demo.script import bundled_script, load_script, load_sound
from kaiwa.cli.demo import read_reservation
from kaiwa.engines.speech.synthesis import LocalSynthesizer

pytestmark = pytest.mark.clients
PATH = bundled_script("ja")
SCRIPT = load_script(PATH)


async def test_a_caller_books_a_car_by_voice_in_japanese(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    with live_server(tmp_path) as port, chainlit(f"ws://127.0.0.1:{port}", tmp_path) as url:
        async with chat(browser, url) as page:
            await page.talk()
            for line in SCRIPT.lines:
                answers = await page.agent.count()
                await page.say(load_sound(PATH, line))
                await expect(page.agent.nth(answers)).to_be_visible(timeout=30_000)
                await page.until_quiet(1800)
            await expect(page.tool("create_reservation")).to_contain_text("R-001")
            await expect(page.caller).to_have_count(len(SCRIPT.lines))
            await expect(page.page.locator("del")).to_have_count(0)
            await page.tool("create_reservation").last.scroll_into_view_if_needed()
            await page.picture("chainlit-booked")
        row = read_reservation(tmp_path / "desk.db")
    assert row is not None
    assert (row["number"], row["customer_name"], row["vehicle_type"]) == ("R-001", "山田太郎", "コンパクト")


async def test_the_weather_is_asked_while_a_search_goes_on(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    settings = {"KAIWA_LIBRARY_SECONDS": "20"}
    with live_server(tmp_path, settings) as port, chainlit(f"ws://127.0.0.1:{port}", tmp_path) as url:
        async with chat(browser, url) as page:
            await page.talk()
            await page.say(_spoken("音声認識について調べてください。"))
            search = page.tool("search_database")
            await expect(search).to_contain_text("音声認識", timeout=30_000)
            await expect(search).to_contain_text("█", timeout=15_000)
            await page.until_quiet(tools=False)

            await page.say(_spoken("明日の大阪の天気を教えてください。"))
            await expect(page.tool("get_weather")).to_contain_text("大阪", timeout=30_000)
            await expect(search).to_contain_text("░")  # the search is still going on
            await expect(page.agent.filter(has_text="最高気温")).to_be_visible(timeout=15_000)
            await page.tool("search_database").last.scroll_into_view_if_needed()
            await page.picture("chainlit-search")

            await expect(search).to_contain_text('"count"', timeout=60_000)
            answers = await page.agent.count()
            await page.until_quiet(1800)
            assert await page.agent.count() >= answers
            assert "音声" in await page.agent.last.inner_text()


async def test_a_resumed_thread_goes_on_where_it_stopped(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    with live_server(tmp_path) as port, chainlit(f"ws://127.0.0.1:{port}", tmp_path) as url:
        async with chat(browser, url) as page:
            await page.write("来週の土曜日に東京でレンタカーを借りたいんですが。")
            await expect(page.tool("list_locations")).to_be_visible(timeout=20_000)
            await page.until_quiet()
        async with chat(browser, url) as page:
            await page.page.locator("a[href*='/thread/']").first.click()
            await expect(page.tool("list_locations")).to_be_visible(timeout=15_000)
            await page.write("東京駅前店で、朝10時から夕方6時まででお願いします。")
            await expect(page.tool("get_availability")).to_contain_text("loc1", timeout=20_000)


def _spoken(text: str) -> bytes:
    silence = bytes(48 * 300)
    return silence + b"".join(LocalSynthesizer().speak(text, language="ja")) + silence
