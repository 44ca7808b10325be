"""Houses and doors as parameters, and the memory of what went well between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
from tests.interaction import outcomes
from tests.interaction.agent import RECORD
from tests.interaction.doors import DOORS, EVERY_DAY
from tests.interaction.houses import HOUSES

_WELL = pytest.StashKey[dict[outcomes.Went, bool]]()


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name in EVERY_DAY else pytest.mark.clients, id=name) for name in DOORS
    ]
)
def door(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=HOUSES)
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    RECORD.clear()
    async with HOUSES[request.param](tmp_path) as address:
        yield address


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_WELL] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    params = getattr(getattr(item, "callspec", None), "params", {})
    if "door" in params and report.when == "call":
        body = item.originalname.removeprefix("test_").replace("_", " ")  # type: ignore[attr-defined]
        item.config.stash[_WELL][body, params["house"], params["door"]] = report.passed
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    went = session.config.stash[_WELL]
    if went:
        outcomes.keep(
            (one for one, well in went.items() if well), (one for one, well in went.items() if not well)
        )
