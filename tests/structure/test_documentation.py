"""The pages say what is so: targets, figures and settings. Their code and links are `tests/docs`."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch

from tests.docs.pages import PAGES, ROOT

from kaiwa import Settings
from kaiwa.server.settings_words import environment_names


def test_every_target_named_in_a_page_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M))
        assert named <= targets, page.name


def test_every_figure_of_the_benchmark_is_explained() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.M)
    explained = [name for cell in cells for name in re.findall(r"`([a-z0-9_.*]+)`", cell)]
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
    of_commands = {
        "KAIWA_DEMO_API_KEY",
        "KAIWA_TALK_API_KEY",
        "KAIWA_CALL_KEY",
        "KAIWA_RECORD_KEY",
        "KAIWA_CONFIG",
    }  # of no server
    assert listed - known <= of_commands
