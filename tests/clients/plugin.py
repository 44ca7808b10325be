"""`--clients`: run the tests that `make test-clients` is for, and only those; without it they are left out."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "run the tests that need the frameworks and browsers of scripts/setup-clients.sh, and only those"
    parser.addoption("--clients", action="store_true", help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "clients: belongs to `make test-clients`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("clients")
    others = [item for item in items if (item.get_closest_marker("clients") is not None) != wanted]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
