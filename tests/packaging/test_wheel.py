"""What a user installs holds everything that the code needs at run time, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.packaging.building import ROOT, build

MEGABYTE = 1024 * 1024


@pytest.fixture
def opened(wheel: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel) as archive:
        yield archive


def files_of(folder: str) -> set[str]:
    """Return what git knows or would take there: other tests may run while somebody writes a file."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60).stdout.decode()
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_the_package_and_no_other(opened: zipfile.ZipFile) -> None:
    package = {name.removeprefix("src/") for name in files_of("src/kaiwa")}
    page = {
        name.replace("ui/chainlit", "kaiwa/server/chainlit_page", 1)
        for name in files_of("ui/chainlit")
        if not name.endswith(".in")
    }
    held = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert held == package | page
    assert {Path(name).suffix for name in package} >= {
        ".py",
        ".typed",
        ".onnx",
        ".wav",
        ".json",
        ".txt",
        ".lua",
    }


def test_what_comes_by_packages_is_not_in_the_wheel(opened: zipfile.ZipFile, wheel: Path) -> None:
    assert not [name for name in opened.namelist() if name.endswith((".bin", ".htsvoice", ".dic"))]
    assert not [name for name in opened.namelist() if name.startswith("tests") or "/test_" in name]
    assert wheel.stat().st_size < 20 * MEGABYTE


def test_the_wheel_names_its_licence_and_its_command(opened: zipfile.ZipFile) -> None:
    [info] = [name.split("/")[0] for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(opened.namelist())
    assert "kaiwa = kaiwa.cli:main" in opened.read(f"{info}/entry_points.txt").decode()


def test_light_installs_stay_light(opened: zipfile.ZipFile) -> None:
    [metadata] = [name for name in opened.namelist() if name.endswith("METADATA")]
    lines = opened.read(metadata).decode().splitlines()
    core = [line for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line]
    for heavy in ("onnxruntime", "ctranslate2", "pyopenjtalk", "whisper", "openai", "torch"):
        assert not [line for line in core if heavy in line], heavy


def test_the_version_stands_in_one_place(wheel: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert wheel.name.startswith(f"kaiwa-{version}-")
    command = ["git", "grep", "-lF", f'"{version}"', "--", "src", "ui"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout == ""


@pytest.mark.parametrize("lost", ["static/console/speaker-worklet.js", "signalr_page"])
def test_without_its_pages_no_wheel_is_built(sources: Path, tmp_path: Path, lost: str) -> None:
    copied = tmp_path / "sources"
    shutil.copytree(sources, copied, ignore=shutil.ignore_patterns("*.onnx", "*.wav", "*.xz"))
    path = copied / "src/kaiwa/server" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    done = build("wheel", copied, tmp_path / "wheel")

    assert done.returncode != 0
    assert "make console" in done.stderr and lost in done.stderr, done.stderr
    assert not list(tmp_path.glob("wheel/*.whl"))
