"""The Chainlit page's own modules can be imported here; Chromium is the console's."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.conftest import launch as launch

sys.path.insert(0, str(Path(__file__).parents[2] / "ui" / "chainlit"))
