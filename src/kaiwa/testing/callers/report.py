"""Judged calls for machines: one JSON document, or JUnit's XML for what shows test results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from kaiwa.testing.callers.judging import Check, failed
from kaiwa.testing.callers.performance import Performance
from kaiwa.testing.callers.scenario import Scenario


def as_json(scenario: Scenario, done: Performance, checks: Sequence[Check]) -> str:
    document: dict[str, Any] = {
        "scenario": scenario.name,
        "ok": not failed(checks),
        "checks": [
            {"name": check.name, "wanted": check.wanted, "found": check.found, "ok": check.ok}
            for check in checks
        ],
        "whole_s": round(done.whole_s, 3),
        "connections": done.connections,
        "lost_frames": done.lost_frames,
        "silences_ms": done.silences_ms,
        **done.call.as_json(),
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def as_junit(scenario: Scenario, done: Performance, checks: Sequence[Check]) -> str:
    """Return a suite with a case for each check; what could not be seen is skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"kaiwa call {scenario.name}",
        tests=str(len(checks)),
        failures=str(len(failed(checks))),
        skipped=str(sum(check.ok is None for check in checks)),
        time=f"{done.whole_s:.3f}",
    )
    for check in checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=scenario.name, name=f"{check.name}: {check.wanted}"
        )
        if check.ok is None:
            ElementTree.SubElement(case, "skipped", message=check.found)
        elif not check.ok:
            ElementTree.SubElement(case, "failure", message=check.found)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
