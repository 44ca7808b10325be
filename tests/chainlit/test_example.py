"""One tool of ten lines, without another change: by voice in the console, by voice in Chainlit, and from the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest
from openai import AsyncOpenAI
from playwright.async_api import expect
from tests.browser.conftest import Launch
from tests.browser.console import console
from tests.chainlit.page import ROOT, chainlit, chat
from tests.server.live_server import live_server

from kaiwa.engines.speech.synthesis import LocalSynthesizer

pytestmark = pytest.mark.clients
QUESTION = "羽田空港店の営業時間を教えてください。"
TOOL = "get_opening_hours"


async def test_a_tool_in_ten_lines_is_used_by_voice_in_both_pages_and_from_the_sdk(
    launch: Launch, tmp_path: Path
) -> None:
    browser = await launch()
    settings = {"KAIWA_AGENT": "ten_lines_tool:agent", "PYTHONPATH": str(ROOT / "examples")}
    silence = bytes(48 * 300)
    spoken = silence + b"".join(LocalSynthesizer().speak(QUESTION, language="ja")) + silence
    with live_server(tmp_path, settings) as port:
        async with console(browser, f"http://127.0.0.1:{port}/") as page:
            await page.start("open", agent="hours")
            await page.say(spoken)
            await expect(page.tool(TOOL)).to_contain_text("羽田空港店", timeout=30_000)
            await expect(page.agent.last).to_contain_text("朝8時", timeout=15_000)

        with chainlit(f"ws://127.0.0.1:{port}", tmp_path) as url:
            async with chat(browser, url) as talk:
                await talk.talk()
                await talk.say(spoken)
                await expect(talk.tool(TOOL)).to_contain_text("羽田空港店", timeout=30_000)
                await expect(talk.agent.last).to_contain_text("朝8時", timeout=15_000)

        assert "朝8時" in await _by_sdk(port)


async def _by_sdk(port: int) -> str:
    client = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
    async with client.realtime.connect(model="hours") as line:
        await line.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        content = [{"type": "input_text", "text": QUESTION}]
        await line.conversation.item.create(item={"type": "message", "role": "user", "content": content})  # type: ignore[typeddict-item]
        await line.response.create()
        said = ""
        async for event in line:
            said += event.delta if event.type == "response.output_text.delta" else ""
            if event.type == "response.done" and "8時" in said:
                return said
    return said
