"""How long the fuzzer may take: a fixed number of examples in CI, minutes when they are asked for.

`KAIWA_FUZZ_MINUTES=10 pytest tests/fuzz` shares ten minutes among the properties, with new chances every run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MINUTES: Final = float(os.environ.get("KAIWA_FUZZ_MINUTES", "0"))
# The frames of three dialects and the upgrades.
PROPERTIES: Final = 4
ROUND: Final = 500
QUIET: Final = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def hold(
    property_: Callable[[Any], None],
    examples: st.SearchStrategy[Any],
    *,
    count: int,
    seconds: float,
    shrink: bool = True,
) -> None:
    """Try the property on `count` examples, the same on every run, for at most `seconds`."""
    if MINUTES and shrink:
        _hold_for(property_, examples, MINUTES * 60 / PROPERTIES)
        return
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    within = settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=QUIET,
        report_multiple_bugs=False,
    )
    within(given(examples)(_until(time.monotonic() + seconds, property_)))()


def _hold_for(property_: Callable[[Any], None], examples: st.SearchStrategy[Any], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        chance = time.time_ns()
        rounds = settings(
            max_examples=ROUND, deadline=None, database=None, suppress_health_check=QUIET, print_blob=True
        )
        seed(chance)(rounds(given(examples)(_until(until, property_))))()


def _until(moment: float, property_: Callable[[Any], None]) -> Callable[[Any], None]:
    """On a slow machine fewer examples are tried, never more time taken. A failure is always looked into."""
    failed = False

    def within_budget(example: Any) -> None:
        nonlocal failed
        if not failed and time.monotonic() > moment:
            return
        try:
            property_(example)
        except Exception:
            failed = True
            raise

    return within_budget
