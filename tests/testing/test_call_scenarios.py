"""Scenario files: what is wrong in one is told with its line; the bundled ones are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaiwa.testing.callers import ScenarioError, bundled_scenarios, load_scenario, render
from kaiwa.testing.callers.scenario import read_scenario

GOOD = """\
name = "typed"

[[step]]
id = "one"
write = "hello"

[[step]]
say = "bye"
after_ms = 10

[expect]
says = ["hello"]

[[expect.tool]]
name = "find"
after = "one"
"""


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (('name = "typed"', "name = typed"), 1, "Invalid value"),
        (('name = "typed"', "name = 3"), 1, "Expected `str`, got `int`"),
        (('write = "hello"', 'writes = "hello"'), 5, "unknown field `writes`"),
        (("after_ms = 10", 'after_ms = "ten"'), 9, "Expected `int`, got `str`"),
        (('say = "bye"', ""), 7, "this step does nothing"),
        (("after_ms = 10", "pause_ms = 10"), 7, "has pause_ms and say at once"),
        (('says = ["hello"]', 'says = ["(hello"]'), 12, "unterminated subpattern"),
        (('says = ["hello"]', "say = 1"), 12, "unknown field `say`"),
        (('after = "one"', 'after = "two"'), 16, "no step has the id 'two'"),
        (('name = "find"', 'nam = "find"'), 15, "unknown field `nam`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(change: tuple[str, str], line: int, problem: str) -> None:
    assert read_scenario(GOOD, Path("good.toml")).name == "typed"
    with pytest.raises(ScenarioError) as told:
        read_scenario(GOOD.replace(*change), Path("bad.toml"))
    assert problem in str(told.value)
    assert f"line {line}" in str(told.value)
    assert "bad.toml" in str(told.value)


def test_a_scenario_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ScenarioError, match="booking-ja"):
        load_scenario("nowhere")


class Mute:
    """A voice that says nothing: only the files of a scenario are of interest here."""

    def speak(self, text: str, **how: object):
        yield bytes(480)


def test_the_bundled_scenarios_can_be_read_and_their_sounds_are_there() -> None:
    names = list(bundled_scenarios())
    assert names == ["booking-en", "booking-ja", "impatient", "noisy-line", "silent"]
    for name in names:
        scenario = load_scenario(name)
        sounds = render(scenario, Mute())
        assert all(len(sounds[n]) > 24_000 for n, step in enumerate(scenario.step) if step.file)
