"""The houses of the scenarios: one that most share, and one of its own for who breaks what is behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.faults.house import House, house_with


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_with(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
async def own_house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with(tmp_path) as house:
        yield house
