"""Text, voice, interruptions and kept threads on the Chainlit page, before a server that answers by script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.scripted import scripted, voice
from tests.chainlit.page import chainlit, chat

pytestmark = pytest.mark.clients
FULL_MS = 27_000  # measured without an interruption; with one it is 5,600


async def test_text_and_voice_are_one_conversation_without_double_messages(
    launch: Launch, tmp_path: Path
) -> None:
    browser = await launch()
    async with scripted(tmp_path) as kaiwa:
        with chainlit(kaiwa, tmp_path) as url:
            async with chat(browser, url) as page:
                await page.write("はじめまして")
                await expect(page.agent).to_have_text(["はじめまして ですね。"])

                await page.talk()
                began = await page.now()
                await page.say(voice(1500))
                await expect(page.caller).to_have_text(
                    ["はじめまして", "東京でレンタカーを借りたいです。"], timeout=20_000
                )
                await page.until_loud(began)
                await page.until_quiet()
                await page.hush()

                await page.write("お店はどこ？")
                await expect(page.tool("list_locations")).to_contain_text("東京駅前店")
                await expect(page.agent.last).to_have_text("三店舗あります。")
                await expect(page.caller).to_have_count(3)
                await expect(page.agent).to_have_count(3)


async def test_speech_stops_the_sound_at_once_and_strikes_what_was_not_heard(
    launch: Launch, tmp_path: Path
) -> None:
    browser = await launch()
    async with scripted(tmp_path) as kaiwa:
        with chainlit(kaiwa, tmp_path) as url:
            async with chat(browser, url) as page:
                await page.talk()
                began = await page.now()
                await page.write("長く話してください")
                await page.until_loud(began)

                cut_in = await page.now()
                await page.say(voice(1500))
                await expect(page.caller).to_have_count(2, timeout=20_000)

                struck = page.agent.first.locator("del")
                await expect(struck.first).to_be_visible()
                await expect(page.agent.first).to_contain_text("これは長い返事の1番目")
                heard = await page.agent.first.inner_text()
                assert "12番目の文です" in heard  # shown, and struck
                assert "12番目の文です" in "".join(await struck.all_inner_texts())
                await page.picture("chainlit-interrupted")
                await page.until_quiet()
                # The twelve sentences would have gone on for much longer than the short answer after them.
                assert (await page.loud_since(cut_in))[-1] - cut_in < FULL_MS / 2


async def test_a_thread_is_resumed_with_what_was_said_in_it(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as kaiwa:
        with chainlit(kaiwa, tmp_path) as url:
            async with chat(browser, url) as page:
                await page.write("お店はどこ？")
                await expect(page.agent.last).to_have_text("三店舗あります。")
                await page.until_quiet()
        with chainlit(kaiwa, tmp_path) as url:  # another process over the same file
            async with chat(browser, url) as page:
                await (
                    page.page.get_by_role("link", name="お店はどこ？")
                    .or_(page.page.locator("a[href*='/thread/']"))
                    .first.click()
                )
                await expect(page.tool("list_locations")).to_be_visible(timeout=15_000)
                await expect(page.agent.last).to_have_text("三店舗あります。")
                await page.write("では東京駅前店で")
                await expect(page.agent.last).to_have_text("では東京駅前店で ですね。")
                await expect(page.caller).to_have_count(2)


async def test_a_microphone_that_is_refused_is_explained(launch: Launch, tmp_path: Path) -> None:
    browser = await launch("--deny-permission-prompts")
    async with scripted(tmp_path) as kaiwa:
        with chainlit(kaiwa, tmp_path) as url:
            async with chat(browser, url, caller=False) as page:
                await page.voice_button.click()
                await expect(page.page.get_by_text("マイク", exact=False).last).to_contain_text(
                    re.compile("許可されていません|見つかりません"), timeout=15_000
                )
                await page.picture("chainlit-denied")
                await expect(page.page.get_by_text("audio", exact=True)).to_have_count(0)
                await page.write("文字でも話せますか")
                await expect(page.agent.last).to_have_text("文字でも話せますか ですね。")
                await expect(page.page.locator("a[href*='/thread/']")).to_have_text("文字でも話せますか")


async def test_the_page_says_so_when_kaiwa_does_not_answer(launch: Launch, tmp_path: Path) -> None:
    browser = await launch("--accept-lang=en-GB")
    with chainlit("ws://127.0.0.1:9", tmp_path) as url:
        async with chat(browser, url, locale="en-GB") as page:
            await page.write("Hello")
            await expect(page.agent.last).to_contain_text("does not answer")
            await expect(page.agent.last).to_contain_text("ws://127.0.0.1:9")
