"""Two workers share the tests of a run: what stays together is named, and each name stands for something."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sharing_out import FOLDERS, SPEECH, unit_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", [*FOLDERS, *SPEECH])
def test_what_stays_together_exists(path: str) -> None:
    assert (ROOT / path).exists(), "rename it in tests/sharing_out.py too"


def test_a_file_stays_together_and_so_does_what_shares_a_server_or_speaks() -> None:
    assert unit_of("tests/server/test_app.py::test_one[a::b]") == "tests/server/test_app.py"
    assert unit_of("tests/clients/test_line.py::test_one") == "tests/clients"
    assert unit_of("tests/demo/test_judge.py::test_one") == "speech"
    assert unit_of("tests/demonstration/test_one.py::test_one") == "tests/demonstration/test_one.py"
