"""What a person sees while talking: words, tools, the board, times, cost, raw events; in two languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.console import Tongue, console
from tests.browser.scripted import SCRIPT, scripted

from kaiwa.testing.service.script import Call, Rule

KINDS = (
    "text_input",
    "text_input_cached",
    "audio_input",
    "audio_input_cached",
    "text_output",
    "audio_output",
)
PRICES = {"currency": "JPY", **dict.fromkeys(KINDS, 1_000_000)}  # one yen each


async def test_a_question_shows_its_answer_its_tool_and_the_shops_on_the_board(
    launch: Launch, tmp_path: Path
) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start(agent="rentacar")
        await page.write("お店はどこですか")

        await expect(page.tool("list_locations")).to_have_attribute("data-state", "done")
        await expect(page.caller).to_have_text("お店はどこですか")
        await expect(page.agent.last).to_have_text("三店舗あります。")
        await expect(page.page.locator(".shops li")).to_have_count(3)
        await expect(page.page.locator(".shops")).to_contain_text("羽田空港店")


async def test_an_answer_is_timed_and_counted(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start()
        await page.write("こんにちは")

        bar = page.page.locator(".latency .bar")
        await expect(bar).to_have_attribute("aria-label", re.compile(r"最初の言葉 \d+ ms.*再生開始 \d+ ms"))
        await expect(page.page.locator("[data-tokens]")).not_to_have_text("0")
        await expect(page.page.locator("[data-money]")).to_have_count(0)


async def test_money_is_shown_where_the_server_has_prices(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path, prices=PRICES) as url, console(browser, url) as page:
        await page.start()
        await page.write("こんにちは")

        tokens = page.page.locator("[data-tokens]")
        await expect(tokens).not_to_have_text("0")
        count = int((await tokens.inner_text()).replace(",", ""))
        await expect(page.page.locator("[data-money]")).to_contain_text(f"{count:,}.0000")


async def test_the_raw_events_of_both_directions_can_be_seen_and_filtered(
    launch: Launch, tmp_path: Path
) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start()
        await page.write("こんにちは")
        await page.page.locator(".debug > summary").click()
        rows = page.page.locator(".events > li")
        await expect(rows.filter(has_text="response.done")).to_have_count(1)

        await page.page.locator(".debug input").fill("session.")

        await expect(rows).to_have_count(3)
        await expect(rows.locator(".sent")).to_contain_text("session.update")


@pytest.mark.parametrize(
    ("tongue", "title", "other", "begin"),
    [("ja", "レンタカー予約", "English", "Start talking"), ("en", "Rental desk", "日本語", "会話を始める")],
)
async def test_the_page_speaks_the_browsers_language_and_remembers_another(
    launch: Launch, tmp_path: Path, tongue: Tongue, title: str, other: str, begin: str
) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url, tongue=tongue) as page:
        await expect(page.page.locator("html")).to_have_attribute("lang", tongue)
        await expect(page.page.locator(".option", has_text=title)).to_have_count(1)

        await page.page.get_by_role("button", name=other).click()
        await page.page.reload()

        await expect(page.page.locator("html")).not_to_have_attribute("lang", tongue)
        await expect(page.page.get_by_role("button", name=begin)).to_be_visible()


async def test_a_phone_shows_everything_without_scrolling_sideways(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    size = {"width": 360, "height": 740}
    async with scripted(tmp_path) as url, console(browser, url, viewport=size) as page:
        wide = "document.documentElement.scrollWidth"
        assert await page.page.evaluate(wide) == 360

        await page.start(agent="rentacar")
        await page.write("お店はどこですか")
        await expect(page.page.locator(".shops li")).to_have_count(3)

        assert await page.page.evaluate(wide) == 360


async def test_a_call_by_webrtc_is_answered_and_heard(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start("open", carrier="webrtc")
        await page.write("こんにちは")

        await expect(page.agent).to_have_text("こんにちは ですね。")
        await expect(page.floor).to_have_attribute("data-floor", "speaking")
        loud = "parseFloat(document.querySelector('.meter.agent i').style.transform.slice(7)) > 0.2"
        await page.until(loud)


@pytest.mark.parametrize("carrier", ["websocket", pytest.param("webrtc", marks=pytest.mark.clients)])
async def test_a_slow_tool_shows_how_far_it_is(launch: Launch, tmp_path: Path, carrier: str) -> None:
    browser = await launch()
    search = Call(name="search_database", arguments='{"query": "音声認識"}')
    script = replace(SCRIPT, rules=(Rule(pattern="調べて.*", answers=(search,)), *SCRIPT.rules))
    async with scripted(tmp_path, script, library_seconds=2) as url, console(browser, url) as page:
        await page.start(agent="library", carrier=carrier)
        await page.write("調べてください")

        bar = page.tool("search_database").get_by_role("progressbar")
        await expect(bar).to_be_visible()
        await expect(page.tool("search_database").locator(".progress-told")).to_contain_text("%")
        assert 0 < float(await bar.get_attribute("value") or 0) <= 1
        # The first search of a process makes the index.
        await expect(page.tool("search_database")).to_have_attribute("data-state", "done", timeout=30_000)
        await expect(bar).to_have_count(0)
