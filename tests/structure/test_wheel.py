"""What a user installs holds everything that the code needs at run time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [built] = target.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_the_wheel_holds_every_tracked_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    command = ["git", "ls-files", "-z", "src/kaiwa"]
    tracked = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60).stdout.decode()
    wanted = {name.removeprefix("src/") for name in tracked.split("\0") if name and (ROOT / name).is_file()}
    assert wanted - set(wheel.namelist()) == set()
    assert {Path(name).suffix for name in wanted} >= {".py", ".typed", ".onnx", ".wav", ".json", ".txt"}


def test_the_wheel_names_its_licence_and_its_command(wheel: zipfile.ZipFile) -> None:
    [info] = [name.split("/")[0] for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(wheel.namelist())
    assert "kaiwa = kaiwa.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_light_installs_stay_light(wheel: zipfile.ZipFile) -> None:
    [metadata] = [name for name in wheel.namelist() if name.endswith("METADATA")]
    required = [
        line for line in wheel.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")
    ]
    core = [line for line in required if "extra ==" not in line]
    for heavy in ("onnxruntime", "ctranslate2", "pyopenjtalk", "whisper", "openai", "torch"):
        assert not [line for line in core if heavy in line], heavy
