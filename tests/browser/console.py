"""The console as a person uses it: by names on the page. Notes whatever the page should not do."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, Locator, Page, expect

HERE = Path(__file__).parent
WORDS = {
    "ja": {
        "open": "そのまま話す",
        "press": "押して話す",
        "typing": "文字で話す",
        "start": "会話を始める",
        "end": "会話を終える",
    },
    "en": {
        "open": "Open microphone",
        "press": "Press to talk",
        "typing": "Typing",
        "start": "Start talking",
        "end": "End the conversation",
    },
}
Tongue = Literal["ja", "en"]


@dataclass
class Console:
    """A page with the console, and what it asked for and complained about."""

    page: Page
    tongue: Tongue
    asked: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])
    local: str = "127.0.0.1"

    @property
    def words(self) -> dict[str, str]:
        return WORDS[self.tongue]

    async def start(
        self,
        mode: str = "typing",
        *,
        agent: str | None = None,
        carrier: str | None = None,
        stage: str = "talking",
    ) -> None:
        """Choose and begin."""
        if agent is not None:
            await self.page.locator(f"input[name=agent][value={agent}]").check()
        if carrier is not None:
            await self.page.locator(f"input[name=carrier][value={carrier}]").check()
        await self.page.get_by_label(self.words[mode]).check()
        await self.page.get_by_role("button", name=self.words["start"]).click()
        await expect(self.stage).to_have_attribute("data-stage", stage, timeout=15_000)

    async def write(self, text: str) -> None:
        await self.page.locator("#typed").fill(text)
        await self.page.keyboard.press("Enter")

    async def say(self, pcm: bytes) -> None:
        """Speak into the page's microphone; returns when it is said."""
        await self.page.evaluate("sound => window.say(sound)", base64.b64encode(pcm).decode())

    @property
    def stage(self) -> Locator:
        return self.page.locator(".stage")

    @property
    def floor(self) -> Locator:
        return self.page.locator(".floor")

    @property
    def caller(self) -> Locator:
        return self.page.locator(".speech.caller .words")

    @property
    def agent(self) -> Locator:
        return self.page.locator(".speech.agent .words")

    def tool(self, name: str) -> Locator:
        return self.page.locator(f"[data-tool={name}]")

    @property
    def trouble(self) -> Locator:
        return self.page.get_by_role("alert").locator(".trouble")

    async def until(self, condition: str, *, timeout_s: float = 10) -> None:
        """Wait for a condition in JavaScript. Playwright's own wait needs `eval`, which the policy forbids."""
        wait = f"new Promise((met) => {{ const look = () => ({condition}) ? met() : setTimeout(look, 10); look(); }})"
        try:
            await asyncio.wait_for(self.page.evaluate(wait), timeout_s)
        except TimeoutError:
            seen = await self.page.locator("main").inner_text()
            raise AssertionError(f"not met in {timeout_s} s: {condition}\n{seen}") from None

    def foreign(self) -> list[str]:
        """Every request that left this machine."""
        here = (self.local, None)  # what a page makes itself, such as blob:, has no host
        return [url for url in self.asked if urlsplit(url).hostname not in here]


@asynccontextmanager
async def console(
    browser: Browser,
    url: str,
    *,
    tongue: Tongue = "ja",
    caller: bool = True,
    ear: bool = False,
    **context: Any,
) -> AsyncIterator[Console]:
    """Open the console; complain at the end about errors of the page and breaches of its policy."""
    locale = "ja-JP" if tongue == "ja" else "en-GB"
    opened = await browser.new_context(locale=locale, **context)
    for wanted, script in ((caller, "caller.js"), (ear, "ear.js")):
        if wanted:
            await opened.add_init_script(path=HERE / script)
    page = await opened.new_page()
    seen = Console(page, tongue)
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("websocket", lambda socket: seen.asked.append(socket.url))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("console", lambda line: _note(seen, line.type, line.text))
    await page.goto(url)
    await expect(page.locator("form.setup")).to_be_visible()
    yield seen
    assert not seen.complaints, seen.complaints
    assert seen.foreign() == []
    await opened.close()


def _note(seen: Console, kind: str, text: str) -> None:
    """Refused requests, lost sockets and plain http are remarked on by the browser itself."""
    expected = re.search(
        r"status of 4\d\d|WebSocket connection to|ERR_(CONNECTION|EMPTY_RESPONSE|SOCKET)|"
        r"Opener-Policy header has been ignored",
        text,
    )
    if kind in ("error", "warning") and not expected:
        seen.complaints.append(text)
