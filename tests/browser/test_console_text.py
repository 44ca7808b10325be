"""The console without sound: questions by POST, answers as server-sent events."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Route, expect
from tests.browser.conftest import Launch
from tests.browser.console import console
from tests.browser.scripted import SENTENCES, scripted

pytestmark = pytest.mark.clients

KEY = "kaiwa-test-key"


async def test_a_talk_in_text_shows_words_tools_and_the_board(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start(agent="rentacar", carrier="sse")
        await page.write("お店はどこですか")
        await expect(page.tool("list_locations")).to_have_count(1)
        await expect(page.agent.last).to_have_text("三店舗あります。")
        await page.write("こんにちは")
        await expect(page.agent.last).to_have_text("こんにちは ですね。")
        assert await page.caller.all_inner_texts() == ["お店はどこですか", "こんにちは"]
        assert not [address for address in page.asked if "realtime" in address]
        assert page.foreign() == []
        assert page.complaints == []


async def test_only_typing_is_offered(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.page.locator("input[name=carrier][value=sse]").check()
        assert await page.page.locator("input[name=mode]").count() == 1


async def test_a_broken_answer_goes_on_where_it_broke(launch: Launch, tmp_path: Path) -> None:
    asked: list[str | None] = []

    async def break_off(route: Route) -> None:
        """Let the page see the first events of the answer and then the end of the connection."""
        answer = await route.fetch()
        body = await answer.body()
        await route.fulfill(response=answer, body=body[: body.index(b"\n\n") + 2])

    async def note(route: Route) -> None:
        asked.append(await route.request.header_value("last-event-id"))
        await route.continue_()

    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.page.route("**/api/chat-stream", break_off)
        await page.page.route("**/api/chat-stream/*", note)
        await page.start(agent="rentacar", carrier="sse")
        await page.write("長く話して")
        await expect(page.agent.last).to_have_text(SENTENCES)
    assert len(asked) == 1
    assert asked[0] is not None
    assert asked[0].endswith(":1")


async def test_a_wrong_key_is_named(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path, api_key=KEY) as url, console(browser, url) as page:
        await page.page.locator("input[type=password]").fill("wrong")
        await page.start(agent="rentacar", carrier="sse")
        await page.write("こんにちは")
        await expect(page.trouble).to_be_visible()
        assert await page.trouble.get_attribute("data-trouble") == "wrong_key"


async def test_a_callers_own_limit_is_told_apart_from_a_full_house(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('default = "one"\n[policies.one]\nrequests_per_day = 1\n')
    browser = await launch()
    async with (
        scripted(tmp_path, policy=tmp_path / "policy.toml") as url,
        console(browser, url) as page,
    ):
        await page.start(agent="rentacar", carrier="sse")
        await page.write("こんにちは")
        await expect(page.agent.last).to_have_text("こんにちは ですね。")
        await page.write("もう一度")
        await expect(page.trouble).to_be_visible()
        assert await page.trouble.get_attribute("data-trouble") == "limit_reached"
