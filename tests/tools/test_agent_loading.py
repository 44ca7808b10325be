"""An agent as a value, and found by its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from kaiwa.errors import ConfigError
from kaiwa.tools.agent import Agent
from kaiwa.tools.function import tool
from kaiwa.tools.loading import load_agent


@tool
def now() -> str:
    return "noon"


def test_an_agent_is_a_frozen_value_that_keeps_its_tools_as_a_tuple() -> None:
    agent = Agent("clock", "Tell the time.", [now])

    assert agent.tools == (now,)
    assert [spec.name for spec in agent.specs] == ["now"]
    assert hash(agent) == hash(Agent("clock", "Tell the time.", [now]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        agent.name = "watch"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("tools", "zone", "problem"),
    [
        ([len], None, "len is not a tool. Decorate the function with @tool"),
        ([now, now], None, "two tools are named now"),
        ([], "Mars/Olympus", "the time zone 'Mars/Olympus' is unknown"),
        ([], "../etc", "is unknown"),
    ],
)
def test_an_agent_that_could_not_work_is_refused(tools: Any, zone: str | None, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Agent("clock", "", tools, time_zone=zone)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    source = "from kaiwa.tools.agent import Agent\nagent = Agent('found', '')\nnumber = 3\nclass Shop:\n    x = agent\n"
    (tmp_path / "kaiwa_test_desk.py").write_text(source)
    (tmp_path / "kaiwa_test_needy.py").write_text("import kaiwa_test_nowhere\n")
    return tmp_path


@pytest.mark.parametrize("attribute", ["agent", "Shop.x"])
def test_an_agent_is_loaded_by_module_and_attribute(directory: Path, attribute: str) -> None:
    assert load_agent(f"kaiwa_test_desk:{attribute}", directory=directory).name == "found"


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("kaiwa_test_desk", "names no agent. Write it as module:attribute"),
        ("kaiwa_test_desk.py:agent", "names no agent"),
        ("kaiwa_test_absent:agent", "there is no module 'kaiwa_test_absent'. Start kaiwa in its folder"),
        ("kaiwa_test_desk.sub:agent", "there is no module 'kaiwa_test_desk.sub'"),
        ("kaiwa_test_needy:agent", "the module 'kaiwa_test_needy' needs 'kaiwa_test_nowhere'"),
        ("kaiwa_test_desk:agents", "has no attribute 'agents'. Agents found there: kaiwa_test_desk:agent"),
        ("kaiwa_test_desk:number", "is a int, not an Agent"),
    ],
)
def test_an_agent_that_cannot_be_loaded_says_what_to_mend(
    directory: Path, reference: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_agent(reference, directory=directory)
