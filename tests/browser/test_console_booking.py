"""The whole Japanese booking through the console: spoken, heard, and in the database."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.console import Console, console
from tests.server.live_server import live_server

from kaiwa.apps.demo.script import bundled_script, load_script, load_sound
from kaiwa.cli.demo import read_reservation

PATH = bundled_script("ja")
SCRIPT = load_script(PATH)
QUIET_MS = 1200


@pytest.mark.clients
@pytest.mark.parametrize("carrier", ["websocket", "webrtc"])
async def test_a_caller_books_a_car_by_voice_through_the_console(
    launch: Launch, tmp_path: Path, carrier: Literal["websocket", "webrtc"]
) -> None:
    browser = await launch()
    with live_server(tmp_path) as port:
        async with console(browser, f"http://127.0.0.1:{port}/", ear=True) as page:
            await page.start("open", agent="rentacar", carrier=carrier)
            for line in SCRIPT.lines:
                answers = await page.agent.count()
                await page.say(load_sound(PATH, line))
                await _hear_out(page, answers)

            await expect(page.page.locator(".bookings .number")).to_have_text("R-001")
            await expect(page.page.locator(".bookings")).to_contain_text("山田太郎 様")
            await expect(page.page.locator(".bookings")).to_contain_text("東京駅前店")
            await expect(page.page.locator(".latency .bar")).to_have_count(len(SCRIPT.lines))
            await expect(page.caller).to_have_count(len(SCRIPT.lines))
            await expect(page.page.locator(".words s")).to_have_count(0)
            await page.page.screenshot(path=tmp_path / "booked.png", full_page=True)
        row = read_reservation(tmp_path / "desk.db")
    assert row is not None
    assert (row["number"], row["customer_name"], row["vehicle_type"]) == ("R-001", "山田太郎", "コンパクト")


async def _hear_out(page: Console, answers: int) -> None:
    """Wait until the agent has answered, no tool is running, and it has been quiet for a while."""
    await page.until(f"document.querySelectorAll('.speech.agent').length > {answers}", timeout_s=20)
    busy = (
        "document.querySelector('.floor').dataset.floor !== 'listening' || document.querySelector('.running')"
    )
    await page.page.evaluate("window.busyAt = performance.now()")
    quiet = (
        f"(({busy}) && (window.busyAt = performance.now()), performance.now() - window.busyAt > {QUIET_MS})"
    )
    await page.until(quiet, timeout_s=60)
