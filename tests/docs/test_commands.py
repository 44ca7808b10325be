"""Commands of the pages that start something of kaiwa's, in processes of their own: `make test-clients`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.docs.pages import BLOCKS, ROOT, Block
from tests.docs.running import Place
from tests.docs.test_code import blocks

from kaiwa.cli.local_server import free_port

pytestmark = pytest.mark.clients
# What serves is ended when it says where; the rest ends by itself.
_A_MOMENT = """
pip() {{ python -c '
import re, sys, tomllib
project = tomllib.load(open("{root}/pyproject.toml", "rb"))["project"]
asked = {{name for group in re.findall(r"kaiwa\\[([^]]+)\\]", " ".join(sys.argv)) for name in group.split(",")}}
assert asked and asked <= set(project["optional-dependencies"]), asked
' "$@"; }}
kaiwa() {{
    case "$*" in
        serve*|emulate*|"functions serve"*|mcp*--http*) python "{moment}" kaiwa "$@" ;;
        *) command kaiwa "$@" ;;
    esac
}}
"""


@blocks("kaiwa")
async def test_commands_of_the_pages_do_what_they_say(block: Block, tmp_path: Path) -> None:
    _furnish(tmp_path)
    text = re.sub(r"(--(?:tls-)?port) \d+", lambda match: f"{match[1]} {free_port()}", block.text)
    text = text.replace("scripts/", f"{ROOT}/scripts/").replace(".venv/bin/kaiwa", "kaiwa")
    text = text.replace("/etc/kaiwa/", "")
    newest = (
        "$(kaiwa keys list --json | python -c 'import json, sys; print(json.load(sys.stdin)[0][\"id\"])')"
    )
    text = text.replace("1a2b3c4d", newest)
    environment = {"KAIWA_PORT": str(free_port())}
    if block.page != "README.md":
        environment["KAIWA_ENGINE"] = "text"
    if block.page == "docs/doctor.md":
        (tmp_path / "kaiwa.toml").write_text('agent = "rentacar"\n', "utf-8")
    if block.page == "docs/policy.md":
        environment["KAIWA_POLICY"] = "policy.toml"
    await Place(tmp_path, environment=environment).shell(
        _A_MOMENT.format(root=ROOT, moment=Path(__file__).with_name("a_moment.py")) + text
    )


def _furnish(folder: Path) -> None:
    """Put there what the pages take for granted: the clone, and files whose content they show."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    (folder / ".funcs").symlink_to(ROOT / ".funcs")
    shown = {"my_module.py": ("docs/tools.md", "python"), "policy.toml": ("docs/policy.md", "toml")}
    for name, (page, language) in shown.items():
        block = next(block for block in BLOCKS if (block.page, block.language) == (page, language))
        (folder / name).write_text(block.text, "utf-8")
