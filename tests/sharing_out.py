"""Shares the tests of a run out among worker processes (`-n 2`): which stay together, and what begins first.

Tests of a file stay together, and tests of a folder that shares costly servers or models. Tests at the pace of
speech stay together too: no two of them compete, and they wait while the others compute. Knows nothing of one
process alone, which runs the tests in the order of their folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FOLDERS = ("tests/apps", "tests/clients", "tests/engines/speech", "tests/interaction", "tests/packaging")
SPEECH = (
    "tests/browser/test_call_page.py",
    "tests/browser/test_console_voice.py",
    "tests/contract/test_real_audio.py",
    "tests/demo",
    "tests/testing/test_callers.py",
    "tests/transports/webrtc",
)


def unit_of(nodeid: str) -> str:
    """Return the name of the unit that one worker runs from begin to end."""
    path = nodeid.partition("::")[0]
    if any(Path(path).is_relative_to(one) for one in SPEECH):
        return "speech"
    return next((one for one in FOLDERS if Path(path).is_relative_to(one)), path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByUnit(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    config.option.loadscopereorder = False  # the order is the one below
    return ByUnit(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not is_worker(config):
        return
    weight = {name: place for place, name in enumerate(("speech", *FOLDERS))}
    items.sort(key=lambda item: weight.get(unit_of(item.nodeid), len(weight)))


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process only reports to the one that shares out."""
    return hasattr(config, "workerinput")
