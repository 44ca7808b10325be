"""Reads the Dockerfile and .dockerignore of this repository: instructions, and which files a build would see."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.packaging.building import ROOT


@dataclass(frozen=True)
class Instruction:
    stage: int
    name: str
    text: str


def instructions() -> list[Instruction]:
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"))
    found: list[Instruction] = []
    stage = -1
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name:
            stage += name == "FROM"
            found.append(Instruction(stage, name, " ".join(rest.split()) if name != "RUN" else rest))
    return found


def seen() -> set[str]:
    """Return the tracked files that .dockerignore lets into a build: the last rule that fits decides."""
    rules = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").split("\n") if line and line[0] != "#"
    ]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60)
    files = [name for name in tracked.stdout.decode().split("\0") if name]
    return {name for name in files if _admitted(name, rules) and (ROOT / name).is_file()}


def _admitted(name: str, rules: list[str]) -> bool:
    admitted = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        if _fits(name, pattern):
            admitted = rule.startswith("!")
    return admitted


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern[3:]) for part in name.split("/"))
    return fnmatch(name, pattern) or name.startswith(f"{pattern}/")


def copied(instruction: Instruction) -> tuple[list[str], str]:
    """Return the sources and the target of a COPY from the build's files."""
    *sources, target = shlex.split(instruction.text)
    return sources, target


def copy_into(folder: Path, instruction: Instruction, files: set[str]) -> None:
    """Carry a COPY out: a folder's content goes into the target, files go into it under their names."""
    sources, target = copied(instruction)
    for source in sources:
        inside = [name for name in files if name == source or name.startswith(f"{source}/")]
        assert inside, f"COPY {source}: .dockerignore keeps it out, or it is not there"
        for name in inside:
            kept = name[len(source) + 1 :] if name != source else Path(name).name
            path = folder / target / kept
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((ROOT / name).read_bytes())
