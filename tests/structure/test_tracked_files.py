"""What may stand in a file that is committed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Package indexes and mirrors; written in pieces so that this file does not name one.
REGISTRIES = re.compile(
    r"pypi\.(org|io)|pythonhosted"
    + r"\.org|registry\.npm"
    + r"js|registry\.yarn"
    + r"pkg|deb\.deb"
    + r"ian|/simple/"
)
MACHINE_PATHS = re.compile(r"(?<![\w.~/:-])/(root|work|home/\w+|Users/\w+|opt/pypi)/")


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-z"]
    names = (
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
        .stdout.decode()
        .split("\0")
    )
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:8192] and path != Path(__file__):
            found.append((str(path.relative_to(ROOT)), data.decode("utf-8")))
    return found


def test_no_file_names_a_package_registry() -> None:
    assert [name for name, text in texts() if REGISTRIES.search(text)] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [(name, match.group()) for name, text in texts() if (match := MACHINE_PATHS.search(text))]
    assert found == []


def test_the_patterns_would_notice() -> None:
    assert REGISTRIES.search("https://files.python" + "hosted.org/packages/x")
    assert MACHINE_PATHS.search("see /ro" + "ot/project/x")


def test_every_locked_package_carries_hashes_and_no_address() -> None:
    locks = [
        *ROOT.glob("requirements*.lock"),
        *ROOT.glob("tests/clients/programs/*.lock"),
        *ROOT.glob("deploy/azure-functions/*.lock"),
    ]
    assert len(locks) >= 7
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        entries = re.split(r"\n(?=\S)", text.strip())
        assert entries, lock
        for entry in entries:
            assert re.match(r"[a-z0-9-]+==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry


def test_no_package_of_a_heavy_framework_is_locked() -> None:
    locked = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert not re.search(r"^(torch|tensorflow|transformers|nvidia-\S+|sudachidict-\S+)==", locked, re.M)
