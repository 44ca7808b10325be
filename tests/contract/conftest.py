"""The live server of the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tests.contract.breakages import Breakage
from tests.contract.house import House, Opener, open_house


@pytest.fixture
def opening(tmp_path: Path, planted: Breakage | None) -> Opener:
    """Opens houses with other settings than the usual."""
    return partial(open_house, tmp_path, planted)


@pytest.fixture
async def house(opening: Opener) -> AsyncIterator[House]:
    """A live server with a key; its planted breakage is the test's."""
    async with opening() as house:
        yield house
