"""The Chainlit page as a visitor uses it, and the process that serves it. Notes every address that it asks."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Locator, Page, expect

from kaiwa.cli.local_server import free_port

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-chainlit" / "bin" / "python"
BROWSER = ROOT / "tests" / "browser"
START_TIMEOUT_S = 60.0


@contextmanager
def chainlit(kaiwa: str, directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve the page before the kaiwa at that address; give its own address once it answers."""
    assert PYTHON.exists(), "The Chainlit page is not installed: run scripts/setup-chainlit.sh"
    port = free_port()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "CHAINLIT_"))
    }
    given = {
        "KAIWA_URL": kaiwa,
        "KAIWA_CHAINLIT_PORT": str(port),
        "KAIWA_CHAINLIT_DATABASE": str(directory / "threads.db"),
    }
    command = [str(PYTHON), str(ROOT / "ui" / "chainlit" / "serve.py")]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=clean | given | dict(settings or {}), cwd=directory
        )
        try:
            _wait_until_it_answers(process, f"http://127.0.0.1:{port}/", log)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(10)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Any) -> None:
    give_up = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < give_up:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    log.seek(0)
    raise AssertionError(f"the Chainlit page did not start:\n{log.read().decode()}")


async def until_it_answers(url: str) -> None:
    """Wait until the page behind kaiwa answers."""

    def ask() -> bool:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            return False
        return True

    give_up = time.monotonic() + START_TIMEOUT_S
    while not await asyncio.to_thread(ask):
        assert time.monotonic() < give_up, "the page behind kaiwa did not start"
        await asyncio.sleep(0.1)


@dataclass
class Chat:
    """An open page."""

    page: Page
    asked: list[str] = field(default_factory=list[str])

    @property
    def caller(self) -> Locator:
        return self.page.locator("[data-step-type=user_message]")

    @property
    def agent(self) -> Locator:
        return self.page.locator("[data-step-type=assistant_message]")

    @property
    def tools(self) -> Locator:
        return self.page.locator("[data-step-type=tool]")

    def tool(self, name: str) -> Locator:
        return self.tools.filter(has=self.page.locator(f"#step-{name}"))

    async def write(self, text: str) -> None:
        await self.page.locator("#chat-input").click()
        await self.page.keyboard.type(text)
        # Chainlit forgets what is sent before its socket is open.
        submit = self.page.locator("#chat-submit")
        await expect(submit).to_be_enabled(timeout=15_000)
        await submit.click()
        await expect(self.caller.filter(has_text=text).last).to_be_visible()

    async def talk(self) -> None:
        """Turn the voice mode on."""
        await self.voice_button.click()
        await expect(self.page.locator("#message-composer svg.lucide-x")).to_be_visible(timeout=15_000)

    async def hush(self) -> None:
        await self.page.locator("#message-composer button:has(svg.lucide-x)").click()
        await expect(self.page.locator("#message-composer svg.lucide-x")).to_have_count(0)

    @property
    def voice_button(self) -> Locator:
        return self.page.locator("#message-composer button:not([id])").last

    async def say(self, pcm: bytes) -> None:
        """Speak into the page's microphone; returns when it is said."""
        await self.page.evaluate("sound => window.say(sound)", base64.b64encode(pcm).decode())

    async def now(self) -> float:
        return await self.page.evaluate("performance.now()")

    async def loud_since(self, ms: float) -> list[float]:
        return await self.page.evaluate("ms => window.loudSince(ms)", ms)

    async def until_loud(self, since_ms: float, timeout_s: float = 20) -> None:
        await self.page.wait_for_function(
            "ms => window.loudSince(ms).length > 40", arg=since_ms, timeout=timeout_s * 1000
        )

    async def until_quiet(self, ms: int = 1200, timeout_s: float = 90, *, tools: bool = True) -> None:
        """Wait until the page has been silent, and nothing new was written, for so long.

        `tools` False: what tools write, and that they run, does not count.
        """
        give_up = time.monotonic() + timeout_s
        quiet_since, seen = time.monotonic(), ""
        while time.monotonic() - quiet_since < ms / 1000:
            assert time.monotonic() < give_up, f"never quiet:\n{await self.words()}"
            text = await self.words() if tools else "".join(await self.agent.all_inner_texts())
            loud = await self.page.evaluate("window.loudSince(performance.now() - 200).length > 0")
            if text != seen or loud or "░" in text:
                quiet_since, seen = time.monotonic(), text
            await asyncio.sleep(0.1)

    async def words(self) -> str:
        return "\n".join(await self.page.locator("[data-step-type]").all_inner_texts())

    async def picture(self, name: str) -> None:
        """Keep a picture for the documentation where KAIWA_PICTURES names a folder."""
        if folder := os.environ.get("KAIWA_PICTURES"):
            await self.page.screenshot(path=Path(folder) / f"{name}.png")

    def foreign(self) -> list[str]:
        """Every request that left this machine."""
        return [url for url in self.asked if urlsplit(url).hostname not in ("127.0.0.1", None)]


@asynccontextmanager
async def chat(
    browser: Browser, url: str, *, locale: str = "ja-JP", caller: bool = True, **context: Any
) -> AsyncIterator[Chat]:
    """Open the page; see at the end that it asked nobody but its own host."""
    size: Any = {"width": 1180, "height": 900}
    opened = await browser.new_context(locale=locale, viewport=size, **context)
    for script in ("caller.js", "ear.js") if caller else ("ear.js",):
        await opened.add_init_script(path=BROWSER / script)
    page = await opened.new_page()
    seen = Chat(page)
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("websocket", lambda socket: seen.asked.append(socket.url))
    await page.goto(url)
    await expect(page.locator("#chat-input")).to_be_visible(timeout=20_000)
    await expect(page.locator("#chat-settings-open-modal")).to_be_visible(timeout=20_000)
    yield seen
    assert any(re.match("ws://", url) for url in seen.asked)
    assert seen.foreign() == []
    await opened.close()
