"""Builds what users install: the source archive, and the wheel out of that archive and nothing else."""

from __future__ import annotations

import subprocess
import sys
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
    target.mkdir(parents=True, exist_ok=True)
    # `extractall(filter=)`, without which newer interpreters warn, is not in Debian's 3.11.2.
    subprocess.run(["tar", "-xzf", sdist, "-C", target], check=True, timeout=60)
    [folder] = target.iterdir()
    return folder
