"""What `import kaiwa` promises: names that exist, and nothing loaded before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import kaiwa

HOMES = kaiwa._HOMES


def exists(module: str) -> bool:
    parts = module.split(".")
    return all(find_spec(".".join(parts[: length + 1])) for length in range(len(parts)))


@pytest.mark.parametrize(
    ("home", "name"), [(home, name) for home, names in HOMES.items() if exists(home) for name in names]
)
def test_a_public_name_is_the_one_of_its_room(home: str, name: str) -> None:
    assert getattr(kaiwa, name) is getattr(sys.modules[home], name)


def test_the_three_lists_of_public_names_agree() -> None:
    tree = ast.parse(Path(kaiwa.__file__).read_text("utf-8"))
    for_checkers = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kaiwa.")
        for alias in node.names
    }

    assert for_checkers == {(home, name) for home, names in HOMES.items() for name in names}
    assert sorted(name for names in HOMES.values() for name in names) == sorted(kaiwa.__all__)
    assert set(kaiwa.__all__) <= set(dir(kaiwa))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = kaiwa.nothing  # type: ignore[attr-defined]


def test_importing_kaiwa_loads_no_room_and_a_tool_loads_no_server() -> None:
    program = (
        "import sys, kaiwa\n"
        "assert [name for name in sys.modules if name.startswith('kaiwa.')] == []\n"
        "from kaiwa import Agent, tool\n"
        "heavy = {'numpy', 'starlette', 'aiohttp', 'uvicorn', 'sqlalchemy', 'onnxruntime', 'websockets'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
