"""The bundled scenarios by voice: the real server in its own process, the real models, rows in its store."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.clients


async def call(scenario: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "kaiwa", "call", "--scenario", scenario, "--json"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(180):
        out, err = await process.communicate()
    assert out, err.decode()
    return json.loads(out)


@pytest.mark.parametrize("scenario", ["booking-ja", "impatient", "silent"])
async def test_a_bundled_scenario_goes_as_wanted(scenario: str) -> None:
    document = await call(scenario)
    assert [check for check in document["checks"] if not check["ok"]] == []
    assert document["ok"]
