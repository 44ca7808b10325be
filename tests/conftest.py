"""What every test shares: a guard against tasks that outlive their test, and patience with the machine."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow, and that is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
async def no_task_outlives_its_test() -> AsyncIterator[None]:
    """Fail an asynchronous test that leaves a task behind: whoever starts one ends it."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    running = [task for task in left if not task.done()]
    assert not running, f"tasks left running: {[task.get_coro() for task in running]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            # First in, last out: the test's own fixtures have ended their tasks by then.
            item.fixturenames.insert(0, "no_task_outlives_its_test")


pytest_plugins = ["tests.sharing_out", "tests.contract.plugin", "tests.clients.plugin"]
