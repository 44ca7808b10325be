"""The official clients that have a build for web pages, unmodified, in Chromium: protocols and queries for keys."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright
from tests.clients.complete import FIRST_PREVIEW, GA, in_node
from tests.clients.outcomes import recorded
from tests.clients.place import Place
from tests.clients.program import job_at, question
from tests.clients.turns import TURNS, Turn, check

pytestmark = pytest.mark.clients
JS = Path(__file__).with_name("js")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PATIENCE_MS = 240_000


class Files(SimpleHTTPRequestHandler):
    """The programs of js/, and an empty page to run them in."""

    def do_GET(self) -> None:
        if self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>clients</title>")
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=JS)) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_port}"
        files.shutdown()


@pytest.fixture
async def page(origin: str) -> AsyncIterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium is not None, "there is no chromium; run scripts/setup-clients.sh"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(f"{origin}/page")
        yield page
        await browser.close()


async def completes_every_turn(page: Page, place: Place, package: str, surfaces: dict[str, str]) -> None:
    client = in_node(package, "page.mjs", surfaces)
    job = job_at(place, list(surfaces), TURNS) | {"sound": base64.b64encode(question()).decode()}
    with recorded(f"{package} (Chromium)", client.version, place.engine, surfaces, TURNS):
        told = await page.evaluate(
            "([client, job]) => import('/page.mjs').then((page) => page.runInPage(client, job))",
            [package, job],
        )
        check([Turn(**one) for one in told], list(surfaces))


async def test_agents_realtime_in_a_page(page: Page, place: Place) -> None:
    await completes_every_turn(page, place, "@openai/agents-realtime", {"RealtimeSession": GA})


async def test_rt_client_in_a_page(page: Page, place: Place) -> None:
    surfaces = {
        "LowLevelRTClient, key": FIRST_PREVIEW,
        "LowLevelRTClient, token": FIRST_PREVIEW,
        "RTClient, key": FIRST_PREVIEW,
        "RTClient, token": FIRST_PREVIEW,
    }
    await completes_every_turn(page, place, "rt-client", surfaces)
