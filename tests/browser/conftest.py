"""Chromium for one test: no network of its own, Japanese by default."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
Launch = Callable[..., Awaitable[Browser]]


async def page_of_the_operator(browser: Browser, address: str) -> Page:
    """Return an empty page at an address of the house, as an operator may serve one in front of it."""
    page = await browser.new_page()
    where = f"{address}/page-of-the-operator"
    await page.route(where, lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
    await page.goto(where)
    return page


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    """Start Chromium, with more flags if they are given."""
    assert os.access(CHROMIUM, os.X_OK), "Chromium is missing: run scripts/setup.sh dev"
    async with async_playwright() as playwright:
        browsers: list[Browser] = []

        async def launched(*flags: str) -> Browser:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *flags])
            browsers.append(browser)
            return browser

        yield launched
        for browser in browsers:
            await browser.close()
