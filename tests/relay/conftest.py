"""A stand-in of the service, new for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kaiwa.testing.service import Service, running_service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running_service() as service:
        yield service
