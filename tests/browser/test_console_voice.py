"""Speaking to the console: an open microphone, a held button, an interruption, two turns of recorded speech."""

from __future__ import annotations

import re
import wave
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.console import console
from tests.browser.scripted import SENTENCES, scripted, voice
from tests.server.live_server import live_server

from kaiwa.apps.demo.script import bundled_script, load_script, load_sound

MOST_MS_TO_SILENCE = 400


async def test_an_open_microphone_is_heard_and_answered(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start("open")
        await expect(page.floor).to_have_attribute("data-floor", "listening")
        await page.say(voice(900))

        await expect(page.caller).to_have_text("東京でレンタカーを借りたいです。")
        await expect(page.agent).to_have_text("東京でレンタカーを借りたいです。 ですね。")
        await expect(page.page.locator(".latency .bar")).to_have_attribute(
            "aria-label", _with("無音", "認識")
        )


async def test_a_muted_microphone_is_not_heard(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start("open")
        await page.page.get_by_role("button", name="マイクを切る").click()
        await page.say(voice(900))
        await page.page.get_by_role("button", name="マイクを入れる").click()
        await page.say(voice(900))

        # The script's first words were still to come: the muted turn was no turn.
        await expect(page.caller).to_have_text("東京でレンタカーを借りたいです。")


async def test_a_held_button_is_one_turn(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url) as page:
        await page.start("press")
        await page.say(voice(600))
        await page.page.keyboard.down("Space")
        await expect(page.floor).to_have_attribute("data-floor", "listening")
        await page.say(voice(600))
        await page.page.keyboard.up("Space")

        await expect(page.caller).to_have_text("東京でレンタカーを借りたいです。")
        await expect(page.agent).to_have_text("東京でレンタカーを借りたいです。 ですね。")
        await expect(page.caller).to_have_count(1)


async def test_an_interruption_silences_the_page_and_strikes_out_what_was_not_heard(
    launch: Launch, tmp_path: Path
) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url, ear=True) as page:
        await page.start("open")
        await page.write("長く話してください")
        await expect(page.agent).to_have_text(SENTENCES)
        await page.until("window.loudSince(performance.now() - 50).length > 0")
        began = await page.page.evaluate("performance.now()")
        await page.say(voice(900))

        struck = page.agent.first.locator("s")
        await expect(struck).to_be_visible()
        await expect(page.page.locator(".speech.agent .who").first).to_contain_text("で遮られました")
        heard = (await page.agent.first.inner_text()).removesuffix(await struck.inner_text())
        assert heard
        assert SENTENCES.startswith(heard)
        # The second answer begins after the caller's turn. Until then the page is silent, from the moment
        # on at which it is sure of the voice; the server takes it for an interruption after 350 ms.
        await page.until("document.querySelectorAll('.speech.agent').length === 2")
        loud = await page.page.evaluate("since => window.loudSince(since)", began)
        before, after = max(pairwise(loud), key=lambda pair: pair[1] - pair[0], default=(loud[-1], loud[-1]))
        last = before if after - before > 300 else loud[-1]
        assert last - began < MOST_MS_TO_SILENCE


async def test_an_interruption_tells_the_server_what_was_heard(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url, ear=True) as page:
        await page.start("open")
        await page.write("長く話してください")
        await page.until("window.loudSince(performance.now() - 50).length > 0")
        await page.say(voice(900))
        await page.page.locator(".debug > summary").click()
        await page.page.locator(".debug input").fill("item.truncate")

        rows = page.page.locator(".events > li")
        await expect(rows).to_have_count(2)  # what was sent, and the server's word for it
        await expect(rows.filter(has_text="conversation.item.truncated")).to_have_count(1)


@pytest.mark.clients  # two tests at once may take the browser its sound
async def test_a_short_sound_makes_the_agent_pause_and_loses_nothing(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url, ear=True) as page:
        await page.start("open")
        await page.write("長く話してください")
        await page.until("window.loudSince(performance.now() - 50).length > 0")
        began = await page.page.evaluate("performance.now()")
        await page.say(voice(100))
        await page.until(f"window.loudSince({began} + 500).length > 10")

        loud = await page.page.evaluate("since => window.loudSince(since)", began)
        assert max(after - before for before, after in pairwise(loud)) > 200  # it paused, and went on
        await expect(page.agent.first.locator("s")).to_have_count(0)
        await expect(page.caller).to_have_count(1)  # only what was typed


async def test_an_interruption_of_a_call_by_webrtc_is_shown(launch: Launch, tmp_path: Path) -> None:
    browser = await launch()
    async with scripted(tmp_path) as url, console(browser, url, ear=True) as page:
        await page.start("open", carrier="webrtc")
        await page.write("長く話してください")
        await page.until(
            "parseFloat(document.querySelector('.meter.agent i').style.transform.slice(7)) > 0.2"
        )
        began = await page.page.evaluate("performance.now()")
        await page.say(voice(900))

        await expect(page.page.locator(".speech.agent .who").first).to_contain_text("で遮られました")
        struck = page.agent.first.locator("s")
        await expect(struck).to_be_visible()
        heard = (await page.agent.first.inner_text()).removesuffix(await struck.inner_text())
        assert heard and SENTENCES.startswith(heard)
        await expect(page.agent.last).to_have_text("東京でレンタカーを借りたいです。 ですね。")
        loud = await page.page.evaluate("since => window.loudSince(since)", began)
        before, after = max(pairwise(loud), key=lambda pair: pair[1] - pair[0])
        assert after - before > 300
        assert before - began < MOST_MS_TO_SILENCE


@pytest.mark.clients
async def test_two_recorded_turns_are_understood_through_the_browsers_own_microphone(
    launch: Launch, tmp_path: Path
) -> None:
    script = bundled_script("ja")
    lines = [load_sound(script, line) for line in load_script(script).lines[:2]]
    microphone = tmp_path / "caller.wav"
    _record(microphone, [_silence(1500), lines[0], _silence(6000), lines[1], _silence(60_000)])
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    browser = await launch(*fake, f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with live_server(tmp_path) as port:
        async with console(browser, f"http://127.0.0.1:{port}/", caller=False, ear=True) as page:
            await page.start("open", agent="rentacar")

            await expect(page.tool("list_locations")).to_have_attribute("data-state", "done", timeout=20_000)
            await expect(page.caller.first).to_contain_text("東京でレンタカーを借りたい")
            await expect(page.tool("get_availability")).to_have_attribute(
                "data-state", "done", timeout=30_000
            )
            await expect(page.page.locator(".cars li")).not_to_have_count(0)
            await expect(page.floor).to_have_attribute("data-floor", "speaking", timeout=15_000)
            assert await page.page.evaluate("window.loudSince(0).length") > 0


def _with(*words: str) -> re.Pattern[str]:
    return re.compile(".*".join(words))


def _silence(duration_ms: int) -> bytes:
    return bytes(48 * duration_ms)


def _record(path: Path, sounds: list[bytes]) -> None:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 24_000, 0, "NONE", ""))
        out.writeframes(b"".join(sounds))
