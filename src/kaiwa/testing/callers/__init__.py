"""Simulated callers: scenarios of what a caller says and does, and of what must come of it."""

from kaiwa.testing.callers.judging import Check, judge
from kaiwa.testing.callers.load import LoadReport, run_load
from kaiwa.testing.callers.performance import Performance, ScenarioCaller
from kaiwa.testing.callers.scenario import Scenario, ScenarioError, bundled_scenarios, load_scenario
from kaiwa.testing.callers.sounds import Sounds, Voice, render

__all__ = [
    "Check",
    "LoadReport",
    "Performance",
    "Scenario",
    "ScenarioCaller",
    "ScenarioError",
    "Sounds",
    "Voice",
    "bundled_scenarios",
    "judge",
    "load_scenario",
    "render",
    "run_load",
]
