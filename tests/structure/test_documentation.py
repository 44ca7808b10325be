"""The pages say what is so: links lead somewhere, code runs, every figure is explained."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from kaiwa import Agent, Settings
from kaiwa.server.settings_words import environment_names

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
CODE = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S))
]


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).is_file(), f"{page.name}: {target}"


@pytest.mark.parametrize("block", CODE)
def test_the_code_of_the_pages_runs(block: str) -> None:
    if "await" in block and "@tool" not in block:
        compile(block, "page", "exec", flags=0x2000)  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(block, "page", "exec", dont_inherit=True), names)
    if "Agent(" in block:
        assert isinstance(names["agent"], Agent)
        assert names["agent"].tools


def test_every_target_named_in_a_page_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M))
        assert named <= targets, page.name


def test_every_figure_of_the_benchmark_is_explained() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `([a-z_.*]+)` \|", text, re.M)
    figures: dict[str, float] = json.loads((ROOT / "bench/latest.json").read_text(encoding="utf-8"))
    assert [name for name in figures if not any(fnmatch(name, pattern) for pattern in explained)] == []


def names_of(field: str) -> list[str]:
    return list(environment_names(field, Settings.model_fields[field]))


def test_every_setting_is_listed_and_every_listed_setting_exists() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`((?:KAIWA|AZURE_OPENAI|OPENAI)_[A-Z_]+|AzureSignalRConnectionString)`", page))
    known = {name for field in Settings.model_fields for name in names_of(field)}
    for field in Settings.model_fields:
        assert listed & set(names_of(field)), f"{field} is not in docs/configuration.md"
    of_commands = {"KAIWA_DEMO_API_KEY", "KAIWA_TALK_API_KEY", "KAIWA_CONFIG"}  # of no server
    assert listed - known <= of_commands
