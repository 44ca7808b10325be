"""The frameworks that bring a Realtime client of their own, each in its environment, unmodified."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.clients.outcomes import recorded
from tests.clients.place import Place
from tests.clients.program import run_program
from tests.clients.turns import TURNS, check
from tests.contract.breakages import Breakage, drop, put
from tests.contract.manifest import rule

pytestmark = pytest.mark.clients
ROOT = Path(__file__).parents[2]
failed_answers = put("response.done", "response.status", "failed")


def python_of(environment: str) -> Path:
    python = ROOT / ".venv-clients" / environment / "bin" / "python"
    assert python.is_file(), f"there is no environment for {environment}; run scripts/setup-clients.sh"
    return python


def version_of(environment: str, package: str) -> str:
    asked = f"from importlib.metadata import version; print(version({package!r}))"
    command = [python_of(environment), "-c", asked]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout.strip()


async def completes_every_turn(
    environment: str,
    package: str,
    program: str,
    surfaces: Sequence[str],
    place: Place,
    planted: Breakage | None,
    turns: Sequence[str] = TURNS,
) -> None:
    command = [python_of(environment), ROOT / "tests" / "clients" / "frameworks" / program]
    if planted is not None:  # one turn is enough to notice
        check(await run_program(command, place, surfaces[:1], turns[:1]), surfaces[:1], turns[:1])
        return
    with recorded(package, version_of(environment, package), place.engine, surfaces, turns):
        check(await run_program(command, place, surfaces, turns), surfaces, turns)


@rule("K-309", broken_by=failed_answers)
async def test_openai_agents_with_handoff_guardrail_and_approval(
    place: Place, planted: Breakage | None
) -> None:
    turns = (*TURNS, "handoff", "guardrail", "approval")
    await completes_every_turn(
        "openai-agents", "openai-agents", "openai_agents.py", ["GA"], place, planted, turns
    )


@rule("K-310", broken_by=failed_answers)
async def test_livekit_in_its_flavours(place: Place, planted: Breakage | None) -> None:
    surfaces = ["OpenAI", "Azure v1", "Azure v1, Entra", "Azure with api-version"]
    await completes_every_turn(
        "livekit", "livekit-plugins-openai", "livekit_plugin.py", surfaces, place, planted
    )


@rule("K-311", broken_by=drop("response.done"))  # pipecat looks at no status
async def test_pipecat_with_openai_and_azure(place: Place, planted: Breakage | None) -> None:
    surfaces = ["OpenAI", "Azure", "Azure, Entra"]
    await completes_every_turn("pipecat", "pipecat-ai", "pipecat_services.py", surfaces, place, planted)
