"""The import rules hold, and the tool that keeps them would notice a breach."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    # With -c and not -m, so that the copy's src/ comes first and the installed kaiwa is not looked at.
    program = f"import sys; sys.path.insert(0, {str(folder / 'src')!r}); sys.argv = ['lint-imports', '--no-cache']; "
    program += "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def copy_of_the_tree(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module in (ROOT / "src/kaiwa").rglob("*.py"):
        target = tmp_path / module.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, target)
    return tmp_path


def test_the_rooms_import_only_downwards(copy_of_the_tree: Path) -> None:
    result = lint_imports(copy_of_the_tree)
    assert result.returncode == 0, result.stdout
    assert "3 kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "breach"),
    [
        ("errors.py", "import asyncio"),
        ("events/value.py", "import time"),
        ("events/value.py", "from kaiwa.engines import chat"),
        ("interfaces.py", "import kaiwa.protocol"),
        ("interfaces.py", "import socket"),
        ("audio/__init__.py", "import random"),
        ("protocol/__init__.py", "import logging"),
        ("session/__init__.py", "import threading"),
        ("session/__init__.py", "import kaiwa.protocol"),
        ("tools/__init__.py", "import kaiwa.apps.rentacar"),
    ],
)
def test_a_planted_breach_is_noticed(copy_of_the_tree: Path, module: str, breach: str) -> None:
    path = copy_of_the_tree / "src/kaiwa" / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{breach}\n", encoding="utf-8")
    result = lint_imports(copy_of_the_tree)
    assert result.returncode != 0, result.stdout
    assert "1 broken" in result.stdout, result.stdout


def test_no_room_imports_the_package_itself() -> None:
    for module in (ROOT / "src/kaiwa").rglob("*.py"):
        lines = module.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if line.startswith(("from kaiwa import", "import kaiwa\n"))], (
            module
        )
