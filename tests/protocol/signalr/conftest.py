"""Every dialogue is held in both protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.protocol.signalr.talk import Breakage, Talk

from kaiwa.protocol.signalr.messages import Protocol


@pytest.fixture(params=["json", "messagepack"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return request.param


@pytest.fixture
def talk(protocol: Protocol, planted: Breakage | None) -> Callable[..., Talk]:
    """Make a talk with the limits and properties the test wants; not opened yet."""

    def make(**wanted: Any) -> Talk:
        return Talk(protocol, planted, **wanted)

    return make
