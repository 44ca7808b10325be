"""The console for everybody: by keyboard alone, by screen reader, in light and in dark, on a locked-down page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect
from tests.browser.conftest import Launch
from tests.browser.console import Console, Tongue, console
from tests.browser.scripted import scripted

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"


@pytest.mark.parametrize(("tongue", "light"), [("ja", "light"), ("en", "dark"), ("ja", "dark")])
async def test_no_barrier_is_found_while_choosing_and_while_talking(
    launch: Launch, tmp_path: Path, tongue: Tongue, light: Literal["light", "dark"]
) -> None:
    browser = await launch()
    async with (
        scripted(tmp_path) as url,
        # axe is put into the page past its policy; the policy itself is tested everywhere else.
        console(browser, url, tongue=tongue, color_scheme=light, bypass_csp=True) as page,
    ):
        assert await _barriers(page.page) == []

        await page.start("press", agent="rentacar" if tongue == "ja" else "rentacar-en")
        await _talk_a_little(page)

        assert await _barriers(page.page) == []


async def test_the_keyboard_alone_is_enough(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await _tab_to(page.page, "input[name=mode]")
        await page.page.keyboard.press("ArrowDown")
        await page.page.keyboard.press("ArrowDown")
        await _tab_to(page.page, "button.primary")
        await page.page.keyboard.press("Enter")
        await expect(page.stage).to_have_attribute("data-stage", "talking")

        await _tab_to(page.page, "#typed")
        await page.page.keyboard.type("こんにちは")
        await page.page.keyboard.press("Enter")
        await expect(page.agent).to_have_text("こんにちは ですね。")

        await _tab_to(page.page, "button.end")
        await page.page.keyboard.press("Enter")
        await expect(page.stage).to_have_attribute("data-stage", "idle")
        await expect(page.page.locator("button.primary")).to_be_focused()
        await expect(page.agent).to_have_text("こんにちは ですね。")


async def test_what_was_said_is_told_to_screen_readers_once_it_is_complete(
    launch: Launch, tmp_path: Path
) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start()
        await page.write("こんにちは")

        told = page.page.get_by_role("log")
        await expect(told).to_have_attribute("aria-live", "polite")
        await expect(told).to_have_text("エージェント: こんにちは ですね。")


async def test_the_page_is_locked_down_and_may_be_kept_by_the_browser(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        request = page.page.context.request
        for path in ("/", "/console/index.js", "/console/index.css", "/console/facts"):
            answer = await request.get(url + path)
            policy = answer.headers["content-security-policy"]
            assert answer.ok
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
        tag = (await request.get(url)).headers["etag"]
        assert (await request.get(url, headers={"if-none-match": tag})).status == 304
        assert (await request.get(f"{url}/console/..%2Fpage.py")).status == 404


async def _talk_a_little(page: Console) -> None:
    await page.write("お店はどこですか")
    await expect(page.page.locator("[data-tool=list_locations]")).to_be_visible()
    await expect(page.agent.last).to_contain_text("三店舗あります。")
    await page.page.locator(".debug > summary").click()


async def _tab_to(page: Page, wanted: str) -> None:
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"the Tab key does not reach {wanted}")


async def _barriers(page: Page) -> list[Any]:
    await page.add_script_tag(path=AXE)
    found = await page.evaluate("axe.run()")
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]]
