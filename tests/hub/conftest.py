"""A house for each test, with what is planted in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from tests.hub.bending import Bend
from tests.hub.house import House, open_house

Opens = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def house(planted: Bend | None) -> Opens:
    """Open a house with these options of its hub."""

    def opens(**options: Any) -> AbstractAsyncContextManager[House]:
        return open_house(planted or Bend(), **options)

    return opens
