"""What the tests of the relay share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[True, False], ids=["direct", "asgi"])
def direct(request: pytest.FixtureRequest) -> bool:
    """Both ways of writing to a client must behave alike."""
    return request.param
