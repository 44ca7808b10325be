"""Houses and doors as parameters, and the memory of what went well between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
from tests.interaction import doors, houses, outcomes
from tests.interaction.agent import RECORD
from tests.interaction.gaps import gap

_WELL = pytest.StashKey[dict[outcomes.Went, bool]]()


def named(names: Any, every_day: tuple[str, ...]) -> list[Any]:
    later = pytest.mark.clients
    return [pytest.param(name, marks=() if name in every_day else later, id=name) for name in names]


@pytest.fixture(params=named(doors.DOORS, doors.EVERY_DAY))
def door(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=named(houses.HOUSES, houses.EVERY_DAY))
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[houses.House]:
    RECORD.clear()
    async with houses.HOUSES[request.param](tmp_path) as house:
        yield house


def _played(item: pytest.Item) -> outcomes.Went | None:
    """Return which cell of the table a test is."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    if params.get("house") not in houses.HOUSES or params.get("door") not in doors.DOORS:
        return None
    body: str = item.originalname.removeprefix("test_").replace("_", " ")  # type: ignore[attr-defined]
    return body, params["house"], params["door"]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_WELL] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `gaps` says cannot be; docs/doors.md shows it with its reason."""
    impossible = {item for item in items if (cell := _played(item)) is not None and gap(*cell) is not None}
    if impossible:
        config.hook.pytest_deselected(items=list(impossible))
        items[:] = [item for item in items if item not in impossible]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and (cell := _played(item)) is not None:
        item.config.stash[_WELL][cell] = report.passed
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    went = session.config.stash[_WELL]
    if went:
        outcomes.keep(
            (one for one, well in went.items() if well), (one for one, well in went.items() if not well)
        )
