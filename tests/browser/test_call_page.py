"""Calls from a real browser: a page with plain WebRTC talks, is heard, cuts in and has functions carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page
from tests.browser.conftest import Launch, page_of_the_operator
from tests.server.running import InThisLoop, at_home, running

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Call, Rule, Say, Script

PAGE = Path(__file__).with_name("call_page.js")
LONG = " ".join(f"This is sentence number {number} of an answer." for number in range(1, 13))
SCRIPT = Script(
    rules=(
        Rule(pattern="long", answers=(Say(text=LONG, pace_ms=300),)),
        Rule(pattern="shops", answers=(Call(name="list_locations"),)),
        Rule(pattern=".*", answers=(Say(text="Well, yes."),)),
    )
)


@asynccontextmanager
async def page_at_home(launch: Launch, directory: Path) -> AsyncIterator[tuple[Page, InThisLoop]]:
    """A page of the house's own origin, with the script of a caller in it."""
    settings = at_home(directory, backchannels=False)
    answerer = HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))
    async with running(settings, answerer) as server:
        page = await page_of_the_operator(await launch(), server.addresses[0])
        await page.evaluate(PAGE.read_text(encoding="utf-8"))
        yield page, server


async def test_a_page_with_plain_webrtc_talks_and_cuts_in(launch: Launch, tmp_path: Path) -> None:
    async with page_at_home(launch, tmp_path) as (page, _):
        await page.evaluate("call.dial('/v1/realtime/calls?model=gpt-realtime')")
        heard: dict[str, Any] = await page.evaluate("""async () => {
            call.ask('long');
            const started = await call.of('output_audio_buffer.started');
            await call.sound();
            call.speak(true);
            const noticed = await call.of('input_audio_buffer.speech_started');
            const done = await call.of('response.done');
            const cleared = await call.of('output_audio_buffer.cleared');
            const truncated = await call.of('conversation.item.truncated');
            await new Promise((met) => setTimeout(met, 800));
            const silent_ms = call.lastLoud - noticed.at;
            call.speak(false);
            await call.of('input_audio_buffer.speech_stopped');
            await call.until(({type, response}) => type === 'response.done' && response.id !== done.response.id);
            return {started, done, cleared, truncated, silent_ms, types: call.frames.map(({type}) => type)};
        }""")
        assert heard["started"]["response_id"] == heard["cleared"]["response_id"]
        assert heard["done"]["response"]["status_details"]["reason"] == "turn_detected"
        assert 0 < heard["truncated"]["audio_end_ms"] < 4000
        assert heard["silent_ms"] < 300  # 200 and what the browser has buffered
        assert "response.output_audio.delta" not in heard["types"]


async def test_a_page_that_hangs_up_leaves_nobody_behind(launch: Launch, tmp_path: Path) -> None:
    async with page_at_home(launch, tmp_path) as (page, _):
        await page.evaluate("call.dial('/v1/realtime/calls?model=gpt-realtime')")
        status = await page.evaluate(
            "fetch(`/v1/realtime/calls/${call.id}/hangup`, {method: 'POST'}).then(({status}) => status)"
        )
        assert status == 200
        sessions = await page.evaluate("fetch('/healthz').then((told) => told.json())")
        assert sessions["sessions"] == 0


async def test_a_page_of_the_original_gets_its_key_and_has_its_functions_run(
    launch: Launch, tmp_path: Path
) -> None:
    async with page_at_home(launch, tmp_path) as (page, _):
        told: dict[str, Any] = await page.evaluate("""async () => {
            const {client_secret, realtimeUrl} = await (await fetch('/api/realtime/session')).json();
            await call.dial(realtimeUrl, client_secret);
            call.ask('shops');
            const done = await call.of('response.function_call_arguments.done');
            const answer = await fetch(`/api/functions/${done.name}`, {
                method: 'POST', headers: {'Content-Type': 'application/json'}, body: done.arguments});
            const result = await answer.json();
            await call.of('response.done');
            const item = {type: 'function_call_output', call_id: done.call_id, output: JSON.stringify(result)};
            call.send('conversation.item.create', {item});
            call.send('response.create');
            await call.sound();
            return {result, created: call.frames[0], outputs: call.frames.filter(
                ({item}) => item?.type === 'function_call_output').length};
        }""")
        assert told["result"]["success"] is True
        assert any("東京" in shop["name"] for shop in told["result"]["locations"])
        assert told["outputs"] == 1
        assert "modalities" in told["created"]["session"]
