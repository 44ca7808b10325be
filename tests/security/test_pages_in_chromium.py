"""The pages in Chromium: nothing they need is forbidden, and nothing of theirs carries a secret."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.browser.conftest import Launch, launch
from tests.browser.scripted import scripted
from tests.chainlit.page import PYTHON, until_it_answers
from tests.security.planted import SECRETS, leaks

__all__ = ["launch"]
pytestmark = pytest.mark.clients
_WATCH = """
window.forbidden = [];
addEventListener("securitypolicyviolation", (event) =>
  window.forbidden.push(`${location.pathname}: ${event.violatedDirective} ${event.blockedURI}`));
"""


async def test_pages_run_under_their_policies_and_carry_no_secret(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PYTHON.exists(), "The Chainlit page is not installed: run scripts/setup-chainlit.sh"
    monkeypatch.setenv("KAIWA_CHAINLIT_DATABASE", str(tmp_path / "threads.db"))
    secrets = {
        "azure_openai_api_key": SECRETS["key of the service"],
        "openai_api_key": SECRETS["key of OpenAI"],
        "signalr_service_key": SECRETS["access key of SignalR"],
    }
    seen: list[bytes] = []
    browser = await launch()
    async with scripted(tmp_path, chainlit=True, **secrets) as kaiwa:
        await until_it_answers(f"{kaiwa}/chat/")
        page = await browser.new_page()
        await page.add_init_script(_WATCH)

        async def keep(answer: Any) -> None:
            seen.append(f"{answer.url} {await answer.request.all_headers()}".encode())
            if answer.status == 200:
                seen.append(await answer.body())

        keeping: list[asyncio.Task[None]] = []
        page.on("response", lambda answer: keeping.append(asyncio.ensure_future(keep(answer))))
        page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda frame: seen.append(str(frame).encode())),
        )
        forbidden: list[str] = []
        for path in ("/", "/signalr", "/pool", "/docs", "/chat/"):
            await page.goto(kaiwa + path)
            if path == "/chat/":
                await page.locator("#chat-input").wait_for(timeout=20_000)
            forbidden += await page.evaluate("window.forbidden")
        await page.close()
        await asyncio.gather(*keeping, return_exceptions=True)
    assert forbidden == []
    assert len(seen) > 20
    assert leaks(b"\n".join(seen), SECRETS) == []
