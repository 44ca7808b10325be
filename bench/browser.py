"""What a person in a browser waits for, measured in the page: the echo of a sound, silence after cutting in.

Headless Chromium; its microphone plays a WAV file in a loop. An ear in the page (`browser_ear.js`) notes how
loud microphone and loudspeaker are, both on the clock of the page's audio, every 5 ms. Counted is from the
page's microphone to what the page gives to the loudspeaker: not the sound card and not the air.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import wave
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import numpy as np
from playwright.async_api import Browser, Page, async_playwright

from bench.browser_moments import Block, Interruption, echoes, interruptions
from bench.figures import Figure, p50_p95
from kaiwa.cli.local_server import ServerProcess, free_port
from kaiwa.engines.speech.synthesis import LocalSynthesizer

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
HERE = Path(__file__).parent
WAYS = ("webrtc", "websocket")
RATE_HZ = 48_000
ECHOES = 30
BURST_EVERY_S = 0.5
QUESTION = "東京の天気を教えてください。"
CUT_IN_AFTER_S = 2.2
BARGE_INS = 22
LEAST = 20
MOST_S = 240.0
AIM_MS = 200.0


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    if not os.access(CHROMIUM, os.X_OK):
        raise RuntimeError("Chromium is missing: run scripts/setup-peers.sh")
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="kaiwa-bench-") as folder:
        for way in WAYS:
            figures += p50_p95(f"browser.{way}.echo_ms", await _echo_ms(way, Path(folder)), "ms")
        for way in WAYS:
            figures += await _barge_in(way, Path(folder))
    return figures


@asynccontextmanager
async def _browser(microphone: Path) -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        capture = f"--use-file-for-fake-audio-capture={microphone}"
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, capture])
        yield browser
        await browser.close()


# --- the echo of a sound ----------------------------------------------------------------------


async def _echo_ms(way: str, folder: Path) -> list[float]:
    microphone = folder / "bursts.wav"
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(int(RATE_HZ * 0.04)) / RATE_HZ)
    _write(microphone, [tone, np.zeros(int(RATE_HZ * BURST_EVERY_S) - len(tone))])
    async with _echo_server() as url, _browser(microphone) as browser:
        page = await (await browser.new_context()).new_page()
        await page.add_init_script(path=HERE / "browser_ear.js")
        await page.goto(url)
        await page.evaluate((HERE / "browser_echo.js").read_text(encoding="utf-8"))
        await page.evaluate("way => window.echo(way)", way)
        await asyncio.sleep(ECHOES * BURST_EVERY_S + 3)
        return echoes(await _heard(page))[2:]  # the first ones find the jitter buffer empty


@asynccontextmanager
async def _echo_server() -> AsyncGenerator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    server = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.browser_echo", str(port))
    try:
        await _answers(url, server)
        yield url
    finally:
        server.terminate()
        await server.wait()


async def _answers(url: str, server: Process) -> None:
    async with asyncio.timeout(30):
        while server.returncode is None:
            try:
                await asyncio.to_thread(lambda: urlopen(url).close())
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return
    raise RuntimeError("the echo server ended")


# --- silence after cutting in ------------------------------------------------------------------


async def _barge_in(way: str, folder: Path) -> list[Figure]:
    """Ask the same question again and again, each time into the answer to the one before."""
    microphone = folder / "questions.wav"
    spoken = np.frombuffer(b"".join(LocalSynthesizer().speak(QUESTION, language="ja")), "<i2") / 32768
    spoken = np.trim_zeros(np.where(np.abs(spoken) < 0.005, 0, spoken))
    _write(microphone, [np.repeat(spoken, RATE_HZ // 24_000), np.zeros(int(RATE_HZ * CUT_IN_AFTER_S))])
    async with (
        ServerProcess("weather", folder / "bench.db") as server,
        _browser(microphone) as browser,
    ):
        page = await _talking(browser, server.url, way)
        cut = await _interrupted(page, len(spoken) / 24_000 + CUT_IN_AFTER_S)
    if len(cut) < LEAST:
        raise RuntimeError(f"only {len(cut)} interruptions: answers begin too late on this machine")
    figures = p50_p95(f"browser.{way}.barge_in_to_silence_ms", [one.silent_ms for one in cut], "ms")
    figures[1] = Figure(figures[1].name, figures[1].value, "ms", AIM_MS, figures[1].note)
    decided = [one.decided_ms for one in cut if one.decided_ms is not None]
    figures += p50_p95(f"browser.{way}.barge_in_to_decision_ms", decided, "ms")
    if flushed := [one.flushed_ms for one in cut if one.flushed_ms is not None]:
        figures += p50_p95(f"browser.{way}.barge_in_to_flush_ms", flushed, "ms")
    return figures


async def _interrupted(page: Page, period_s: float) -> list[Interruption]:
    """Wait for enough interruptions, but not for ever: a slow answer is not there yet to be cut off."""
    began_s = time.monotonic()
    cut: list[Interruption] = []
    while len(cut) < BARGE_INS and time.monotonic() - began_s < MOST_S:
        await asyncio.sleep(period_s * (BARGE_INS - len(cut) + 1))
        told: list[float] = await page.evaluate("window.ear.told")
        cut = interruptions(await _heard(page), told)
    return cut


async def _talking(browser: Browser, address: str, way: str) -> Page:
    """Open the console and talk through it with an open microphone."""
    context = await browser.new_context(locale="ja-JP", bypass_csp=True)
    page = await context.new_page()
    await page.add_init_script(path=HERE / "browser_ear.js")
    await page.goto(address.replace("ws://", "http://").split("/v1/")[0] + "/")
    await page.locator("input[name=agent][value=weather]").check()
    await page.locator(f"input[name=carrier][value={way}]").check()
    await page.locator("input[name=mode][value=open]").check()
    await page.locator("form.setup button.primary").click()
    await page.locator(".stage[data-stage=talking]").wait_for(timeout=20_000)
    return page


async def _heard(page: Page) -> list[Block]:
    blocks: list[Any] = await page.evaluate("window.ear.blocks")
    return [Block(*block) for block in blocks]


def _write(path: Path, parts: list[np.ndarray]) -> None:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes((np.concatenate(parts) * 32767).astype("<i2").tobytes())
