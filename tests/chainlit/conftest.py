"""The Chainlit page's own modules can be imported here; Chromium is the console's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.async_api import Browser
from tests.browser.conftest import Launch
from tests.browser.conftest import launch as plain

sys.path.insert(0, str(Path(__file__).parents[2] / "ui" / "chainlit"))
chromium = plain


@pytest.fixture
def launch(chromium: Launch) -> Launch:
    """Start a Japanese Chromium: Chainlit goes by the WebSocket's `Accept-Language`, and not every Chromium
    says there what a context's `locale` is."""

    async def launched(*flags: str) -> Browser:
        return await chromium("--accept-lang=ja-JP", *flags)

    return launched
