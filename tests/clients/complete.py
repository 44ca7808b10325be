"""A stock client as a program in its own environment, and the proof that it completes every turn at a place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.outcomes import recorded
from tests.clients.place import Place
from tests.clients.program import run_program
from tests.clients.turns import TURNS, Turn, check
from tests.contract.breakages import Breakage

HERE = Path(__file__).parent
GA, BETA = "GA", "beta"
PREVIEW, FIRST_PREVIEW = "preview 2025-04-01", "preview 2024-10-01"
ENVIRONMENTS = HERE.parents[1] / ".venv-clients"


@dataclass(frozen=True)
class Client:
    """One package: the program that uses it, and the ways in which that can."""

    name: str
    version: str
    command: tuple[str | Path, ...]
    surfaces: Mapping[str, str]
    """Their names, each with the dialect that is spoken there."""
    turns: tuple[str, ...] = TURNS


def in_node(
    package: str, program: str, surfaces: Mapping[str, str], *, flags: tuple[str, ...] = ()
) -> Client:
    manifest = HERE / "js" / "node_modules" / package / "package.json"
    assert manifest.is_file(), f"{package} is not installed; run scripts/setup.sh dev"
    version: str = json.loads(manifest.read_text(encoding="utf-8"))["version"]
    return Client(f"{package} (JavaScript)", version, ("node", *flags, HERE / "js" / program), surfaces)


def in_python(
    environment: str | None,
    package: str,
    program: str,
    surfaces: Mapping[str, str],
    *,
    turns: tuple[str, ...] = TURNS,
) -> Client:
    """`environment` is one of scripts/setup-clients.sh; None: that of the tests."""
    python = Path(sys.executable) if environment is None else ENVIRONMENTS / environment / "bin" / "python"
    assert python.is_file(), f"there is no environment for {package}; run scripts/setup-clients.sh"
    asked = f"from importlib.metadata import version; print(version({package!r}))"
    version = subprocess.run([python, "-c", asked], capture_output=True, check=True, text=True, timeout=60)
    return Client(
        f"{package} (Python)", version.stdout.strip(), (python, HERE / "programs" / program), surfaces, turns
    )


async def completes_every_turn(client: Client, place: Place, planted: Breakage | None) -> list[Turn]:
    """Return what the client saw; fail with its words. One turn is enough to notice a planted breakage."""
    if planted is not None:
        surfaces, turns = list(client.surfaces)[:1], client.turns[:1]
        done = await run_program(client.command, place, surfaces, turns)
        check(done, surfaces, turns)
        return done
    with recorded(client.name, client.version, place.engine, client.surfaces, client.turns):
        done = await run_program(client.command, place, list(client.surfaces), client.turns)
        check(done, list(client.surfaces), client.turns)
    return done
