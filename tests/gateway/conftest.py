"""What the tests of the relay share."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.gateway.relaying import Way


@pytest.fixture(params=get_args(Way))
def direct(request: pytest.FixtureRequest) -> Way:
    """All ways must behave alike."""
    return request.param
