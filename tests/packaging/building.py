"""Builds what users install: the source archive, and the wheel out of that archive and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(kind: str, source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)


def built(kind: str, source: Path, target: Path) -> Path:
    done = build(kind, source, target)
    assert done.returncode == 0, done.stderr
    [found] = target.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return found


def sources_in(sdist: Path, target: Path) -> Path:
    """Unpack the archive; return its folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    [folder] = target.iterdir()
    return folder
