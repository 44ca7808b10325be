"""How statements about any input are tried: enough examples to notice, no shrinking, nothing kept on disk."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

any_input = settings(
    max_examples=60,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate),
    # The planted breakages of these tests keep no state, so that examples may share one.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
