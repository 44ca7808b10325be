"""Every command that the README shows is run somewhere: where, stands here."""

from __future__ import annotations

import re

import pytest
from tests.docs.pages import blocks_of
from tests.packaging.building import ROOT

# How a command begins, the test that runs it, and what stands there. None: it cannot be run here.
RUN_BY = {
    "git clone … kaiwa": None,
    "make demo": ("tests/demo/test_whole_call.py", "bundled_script"),
    "make wheel": ("tests/packaging/building.py", '"hatchling", "build"'),
    "make run": ("tests/docs/test_code.py", "def test_targets_and_settings_of_the_pages_exist"),
    "export ": ("tests/docs/test_code.py", "def test_targets_and_settings_of_the_pages_exist"),
    "pip install 'kaiwa[local]' && kaiwa serve": (
        "tests/packaging/test_installed.py",
        '"[local]").install()',
    ),
    "uvx --from 'kaiwa[local]' kaiwa serve": (
        "tests/packaging/test_installed.py",
        '"--from", "kaiwa[local]", "kaiwa", "serve"',
    ),
    ".venv/bin/kaiwa doctor": ("tests/demo/test_command_line.py", '"doctor", "--json"'),
    ".venv/bin/kaiwa talk": ("tests/packaging/test_installed.py", '("talk",)'),
    ".venv/bin/kaiwa serve examples.hello_tool:agent": (
        "tests/docs/test_commands.py",
        "def test_commands_of_the_pages_do_what_they_say",
    ),
    "curl -N ": ("tests/docs/test_code.py", "def test_requests_of_the_pages_are_answered"),
}


def commands() -> list[str]:
    """Return the README's commands without the settings before them and the remarks behind them."""
    shell = [block.text for block in blocks_of(ROOT / "README.md") if block.language in ("", "sh")]
    lines = "\n".join(shell).replace("\\\n", " ").splitlines()
    bare = [re.sub(r"^(?:[A-Z_]+=(?:'[^']*'|\S+) )+", "", line.split("  #")[0].strip()) for line in lines]
    return [line for line in bare if line]


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_is_run_by_a_test(command: str) -> None:
    [start] = [start for start in RUN_BY if command.startswith(start)]
    proof = RUN_BY[start]
    if proof is not None:
        file, needle = proof
        assert needle in (ROOT / file).read_text("utf-8"), f"{file} does not run it any more"


def test_no_proof_is_left_over() -> None:
    assert [start for start in RUN_BY if not any(command.startswith(start) for command in commands())] == []
