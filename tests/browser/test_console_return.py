"""The page whose line breaks comes back to its conversation: the tool ran on, and its result is told once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.console import Console, console
from tests.hub.cutting import line_to
from tests.interaction.test_resume import DESK, SCRIPT
from tests.server.running import at_home, running

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.transports.webrtc import MediaService
from kaiwa.transports.webrtc.settings import MediaSettings

KEY = "key-of-the-house"
PATIENCE_MS = 40_000
pytestmark = pytest.mark.clients


@asynccontextmanager
async def slow_desk(
    directory: Path, monkeypatch: pytest.MonkeyPatch, media: MediaService | None = None, **given: Any
) -> AsyncIterator[tuple[str, Any]]:
    """Serve an agent whose tool takes until it is let go; give the address and the agent's module."""
    (directory / "resumable_desk.py").write_text(DESK, encoding="utf-8")
    monkeypatch.chdir(directory)
    monkeypatch.delitem(sys.modules, "resumable_desk", raising=False)
    home = at_home(directory, api_key=KEY, agent="resumable_desk:agent", filler_ms=0, **given)
    answerer = HostAnswerer(home, lambda agent: ServiceEngine(SCRIPT))
    async with running(home, answerer, media=media) as server:
        yield server.addresses[0], sys.modules["resumable_desk"]


async def ask_for_a_booking(page: Console, carrier: str) -> None:
    await page.page.get_by_label("API キー").fill(KEY)
    await page.start(agent="desk", carrier=carrier)
    await page.write("book")
    await expect(page.tool("book")).to_be_visible()
    await expect(page.floor).to_have_attribute("data-floor", "talking")


async def hears_the_result_once(page: Console, desk: Any) -> None:
    await expect(page.stage).to_have_attribute("data-stage", "talking", timeout=PATIENCE_MS)
    await expect(page.trouble).to_have_count(0)
    await expect(page.page.locator("li.divider")).to_contain_text("会話はそのまま続いています")
    desk.going.set()
    await expect(page.agent.last).to_have_text("The tool said: R-001")
    await expect(page.tool("book")).to_contain_text("R-001")
    await expect(page.floor).to_have_attribute(
        "data-floor", "talking", timeout=PATIENCE_MS
    )  # heard to its end
    await page.write("thank you")
    await expect(page.agent.last).to_have_text("thank you")
    await expect(page.agent).to_have_count(2)
    await expect(page.caller).to_have_text(["book", "thank you"])
    await expect(page.tool("book")).to_have_count(1)
    await expect(page.page.locator("li.divider")).to_have_count(1)
    await expect(page.page.locator("li.remark, s")).to_have_count(0)
    assert desk.booked == ["Sato"]


async def test_a_page_whose_socket_breaks_within_a_tool_comes_back_by_itself(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await launch()
    async with (
        slow_desk(tmp_path, monkeypatch) as (url, desk),
        line_to(urlsplit(url).port or 0) as line,
        console(browser, f"http://127.0.0.1:{line.port}") as page,
    ):
        await ask_for_a_booking(page, "websocket")
        line.down = True
        line.close()
        await expect(page.trouble).to_have_attribute("data-trouble", "line_lost")
        await expect(page.stage).to_contain_text("戻しています")
        line.down = False

        await hears_the_result_once(page, desk)
        await page.page.locator(".debug > summary").click()
        shown = await page.page.locator(".events").inner_text()
        assert "kaiwa.session.resumed" in shown and "kaiwa.session.resumable" not in shown
        back = [url for url in page.asked if "resume=" in url]
        assert {url.partition("resume=")[2] for url in back} == {"on", "event"}, "the token is in no address"


async def test_a_page_whose_call_is_lost_within_a_tool_calls_again_by_itself(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await launch()
    media = await MediaService.start(MediaSettings())
    async with slow_desk(tmp_path, monkeypatch, media) as (url, desk), console(browser, url) as page:
        await ask_for_a_booking(page, "webrtc")
        for process in media.process_ids:
            os.kill(process, signal.SIGKILL)
        await expect(page.trouble).to_have_attribute("data-trouble", "line_lost", timeout=PATIENCE_MS)
        await hears_the_result_once(page, desk)


async def test_a_page_that_comes_back_too_late_says_so_and_goes_on_in_a_new_conversation(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await launch()
    async with (
        slow_desk(tmp_path, monkeypatch, resume_s=0.5) as (url, desk),
        line_to(urlsplit(url).port or 0) as line,
    ):
        desk.going.set()
        async with console(browser, f"http://127.0.0.1:{line.port}") as page:
            await page.page.get_by_label("API キー").fill(KEY)
            await page.start(agent="desk")
            await page.write("hello")
            await expect(page.agent).to_have_text("hello")
            line.down = True
            line.close()
            await expect(page.trouble).to_have_attribute("data-trouble", "server_gone")
            line.down = False
            await expect(page.stage).to_have_attribute("data-stage", "talking", timeout=PATIENCE_MS)
            await expect(page.page.locator("li.divider")).to_contain_text("前の会話には戻れません")
            await page.write("again")
            await expect(page.agent.last).to_have_text("again")
