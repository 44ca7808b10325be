"""What is served is what the sources in `web/` say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
STATIC = ROOT / "src/kaiwa/server/static"


def test_the_sources_are_well_typed() -> None:
    _run("tsc", "--noEmit")


def test_the_committed_console_is_built_from_its_sources(tmp_path: Path) -> None:
    _run("vite", "build", "--outDir", str(tmp_path), "--emptyOutDir", "--logLevel", "warn")

    committed = {name: body for name, body in _files(STATIC).items() if _is_of_the_console(name)}
    assert _files(tmp_path) == committed, "run `make console` and commit what it builds"


def _run(program: str, *arguments: str) -> None:
    command = [str(WEB / "node_modules/.bin" / program), *arguments]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr)


def _is_of_the_console(name: str) -> bool:
    return name == "index.html" or name.startswith("console/")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
