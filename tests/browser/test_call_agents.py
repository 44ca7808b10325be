"""The Agents SDK's own WebRTC client, unmodified, in Chromium: it connects, talks and is interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page
from tests.browser.conftest import Launch, page_of_the_operator
from tests.browser.test_call_page import SCRIPT
from tests.server.running import at_home, running

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service.engine import ServiceEngine

pytestmark = pytest.mark.clients
HERE = Path(__file__).parent
PACKAGE = HERE.parent / "clients/js/node_modules/@openai/agents-realtime"
BUNDLE = PACKAGE / "dist/bundle/openai-realtime-agents.umd.js"


async def begin(page: Page, address: str) -> None:
    await page.evaluate(BUNDLE.read_text(encoding="utf-8"))
    await page.evaluate((HERE / "agents_page.js").read_text(encoding="utf-8"))
    await page.evaluate(
        """async (address) => {
            const body = JSON.stringify({session: {type: 'realtime', model: 'gpt-realtime'}});
            const asked = {method: 'POST', headers: {'Content-Type': 'application/json'}, body};
            const {value} = await (await fetch('/v1/realtime/client_secrets', asked)).json();
            await window.begin(address, value);
        }""",
        address,
    )


async def test_the_agents_sdk_talks_and_is_cut_off(launch: Launch, tmp_path: Path) -> None:
    settings = at_home(tmp_path, backchannels=False)
    answerer = HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))
    async with running(settings, answerer) as server:
        page = await page_of_the_operator(await launch(), server.addresses[0])
        await begin(page, server.addresses[0])
        told: dict[str, Any] = await page.evaluate("""async () => {
            agents.session.sendMessage('hello');
            await agents.of('output_audio_buffer.stopped');
            await agents.sound();
            const from = agents.seen.length;
            agents.session.sendMessage('long');
            await agents.of('output_audio_buffer.started', from);
            await agents.sound(performance.now());
            agents.speak(true);
            const noticed = await agents.of('input_audio_buffer.speech_started', from);
            await agents.of('output_audio_buffer.cleared', from);
            await agents.of('conversation.item.truncated', from);
            await new Promise((met) => setTimeout(met, 600));
            const silent_ms = agents.lastLoud() - noticed.at;
            agents.speak(false);
            await agents.of('input_audio_buffer.committed', from);
            const next = agents.seen.length;
            agents.session.sendMessage('long');
            await agents.of('output_audio_buffer.started', next);
            agents.session.interrupt();
            await agents.of('output_audio_buffer.cleared', next);
            const callId = agents.transport.callId;
            agents.session.close();
            return {silent_ms, callId, errors: agents.errors, history: agents.session.history};
        }""")
        assert told["callId"].startswith("rtc_")
        assert told["silent_ms"] < 300
        assert [error for error in told["errors"] if "no active response" not in error] == []
        said = [item for item in told["history"] if item["type"] == "message" and item["role"] == "assistant"]
        assert len(said) >= 2
        assert said[0]["content"][0]["transcript"] == "Well, yes."
