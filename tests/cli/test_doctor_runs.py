"""`kaiwa doctor` as a process, of a whole setup and of a broken one; docs/doctor.md shows these very runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.apps.postgres_server import postgres_server
from tests.cli.doctor_runs import KEY, broken, whole
from tests.docs.pages import ROOT
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401 - fixtures

pytestmark = pytest.mark.clients


def shown(name: str) -> str:
    """Return the run that the page shows under this heading."""
    page = (ROOT / "docs/doctor.md").read_text("utf-8")
    found = re.search(rf"### {name}\n.*?```text\n(.*?)\n```", page, re.DOTALL)
    assert found, f"docs/doctor.md shows no run of {name}"
    return found[1]


async def test_a_whole_setup_is_well_in_every_part(tmp_path: Path, redis_url: str) -> None:  # noqa: F811
    with postgres_server() as database:
        status, said = await whole(tmp_path, redis_url, database)
    assert status == 0 and not re.search(r"(?m)^[!✗]", said), said
    assert said == shown("A whole setup"), f"let docs/doctor.md say:\n{said}"


async def test_each_fault_of_a_broken_setup_is_told_with_its_remedy_in_both_languages(tmp_path: Path) -> None:
    status, said = await broken(tmp_path)
    assert status == 1 and KEY not in said and "another-key" not in said
    faults = re.findall(r"(?m)^[!✗] (.*)\n((?:    .*\n?)+)", said)
    assert len(faults) == 7, said
    for fault, told in faults:
        assert len(re.findall(r"(?m)^    → ", told)) == 2, f"{fault} has no remedy in both languages"
    assert said == shown("A broken one"), f"let docs/doctor.md say:\n{said}"
