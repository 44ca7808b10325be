"""The page of tokens through a hub, in Chromium: a talk, a line that breaks, a reload, and the page of the tutorial."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr
from tests.browser.conftest import Launch
from tests.browser.test_console_build import ROOT, WEB
from tests.browser.test_console_reach import AXE
from tests.browser.test_pool_page import watched
from tests.server.test_chat_stream import House, house

from kaiwa.events.engine import Generate, GenerationEnded, TextDelta

pytestmark = pytest.mark.clients

PAGE = ROOT / "src/kaiwa/server/signalr_page"
CLIENT = WEB / "node_modules/@microsoft/signalr/dist/browser/signalr.js"
DONE = "✅ 完了"


@asynccontextmanager
async def signalr_page(browser: Browser, desk: House, **context: Any) -> AsyncIterator[Page]:
    async with watched(browser, f"{desk.address}/signalr", **{"locale": "ja-JP", **context}) as page:
        yield page


async def _running_answer(desk: House, page: Page) -> tuple[Any, str]:
    """Ask what the model keeps silent about, and return the engine and the response to speak for."""
    await page.get_by_label("質問").fill("黙って")
    await page.keyboard.press("Enter")
    await desk.commanded(Generate)
    (engine,) = desk.engines
    return engine, next(one for one in engine.asked if isinstance(one, Generate)).response_id


async def test_a_talk_is_shown_token_by_token_and_kept_across_visits(launch: Launch, tmp_path: Path) -> None:
    async with house(tmp_path) as desk, signalr_page(await launch(), desk) as page:
        await expect(page.get_by_role("status")).to_have_text("接続しました")
        engine, rid = await _running_answer(desk, page)
        await expect(page.get_by_role("button", name="送信中…")).to_be_disabled()
        engine.say(TextDelta(response_id=rid, text="今日は"))
        await expect(page.locator(".theirs p")).to_have_text("今日は")
        engine.say(TextDelta(response_id=rid, text="晴れです。"), GenerationEnded(response_id=rid))
        await expect(page.locator(".theirs p")).to_have_text(f"今日は晴れです。\n\n{DONE}")
        await expect(page.locator("#cost")).to_contain_text("tokens")
        await expect(page.get_by_role("button", name="送信", exact=True)).to_be_enabled()
        await page.reload()
        await expect(page.locator("article p")).to_have_text(["黙って", f"今日は晴れです。\n\n{DONE}"])
        await page.get_by_role("button", name="English").click()
        await page.get_by_role("button", name="Clear").click()
        await expect(page.locator("article")).to_have_count(0)


async def test_a_reload_in_mid_answer_gets_its_beginning_and_the_rest_once(
    launch: Launch, tmp_path: Path
) -> None:
    async with house(tmp_path) as desk, signalr_page(await launch(), desk) as page:
        await expect(page.get_by_role("status")).to_have_text("接続しました")
        engine, rid = await _running_answer(desk, page)
        engine.say(TextDelta(response_id=rid, text="一"))
        await expect(page.locator(".theirs p")).to_have_text("一")
        await page.reload()
        await expect(page.locator(".theirs p")).to_have_text("一")
        engine.say(TextDelta(response_id=rid, text="二"), GenerationEnded(response_id=rid))
        await expect(page.locator(".theirs p")).to_have_text(f"一二\n\n{DONE}")
        await expect(page.get_by_role("button", name="送信", exact=True)).to_be_enabled()


@pytest.mark.parametrize(("locale", "light"), [("ja-JP", "light"), ("en-GB", "dark")])
async def test_no_barrier_is_found_with_a_key_to_enter_and_a_talk(
    launch: Launch, tmp_path: Path, locale: str, light: Literal["light", "dark"]
) -> None:
    context = {"locale": locale, "color_scheme": light, "bypass_csp": True}
    async with (
        house(tmp_path, api_key=SecretStr("of-the-house")) as desk,
        signalr_page(await launch(), desk, **context) as page,
    ):
        await page.locator("#key-field").fill("of-the-house")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_have_attribute("data-state", "connected")
        await page.locator("#prompt").fill("元気？")
        await page.keyboard.press("Enter")
        await expect(page.locator(".theirs p")).to_contain_text(DONE)
        await page.add_script_tag(path=AXE)
        found = await page.evaluate("axe.run()")
        assert [
            (one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]
        ] == []


# What the page of the tutorial does: it negotiates by POST, appends every token, and names no connection.
TUTORIAL = """async () => {
  const given = await (await fetch("/api/negotiate", { method: "POST" })).json();
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(given.url, { accessTokenFactory: () => given.accessToken }).withAutomaticReconnect().build();
  window.log = "";
  connection.on("token", (token) => { window.log += token; });
  await connection.start();
  const answer = await fetch("/api/chat_stream", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ prompt: "元気？" }),
  });
  return await answer.json();
}"""


async def test_the_page_of_the_tutorial_works_as_it_is_with_the_setting(
    launch: Launch, tmp_path: Path
) -> None:
    async with house(tmp_path, signalr_anonymous_to_all=True) as desk:
        page = await (await (await launch()).new_context(bypass_csp=True)).new_page()
        await page.goto(f"{desk.address}/signalr")
        await page.add_script_tag(path=CLIENT)
        assert (await page.evaluate(TUTORIAL))["ok"] is True
        await page.wait_for_function(f"window.log.endsWith('{DONE}')", timeout=5000)
        assert await page.evaluate("window.log") == f"答え: 元気？\n\n{DONE}"


def test_the_committed_page_is_built_from_its_sources(tmp_path: Path) -> None:
    program = str(WEB / "node_modules/.bin/vite")
    options = [
        "--config",
        "signalr/vite.config.ts",
        "--outDir",
        str(tmp_path / "built"),
        "--logLevel",
        "warn",
    ]
    done = subprocess.run(
        [program, "build", *options], cwd=WEB, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert _files(tmp_path / "built") == _files(PAGE), "run `make console` and commit what it builds"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
