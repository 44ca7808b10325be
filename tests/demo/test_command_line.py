"""The command line as a process: it starts fast, and says what is wrong in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60)


def test_the_command_line_loads_no_server_and_no_models_before_a_command_needs_them() -> None:
    loaded = run("-c", "import sys, kaiwa.cli; print([m for m in sys.modules if m.startswith('kaiwa.')])")

    assert "kaiwa.server" not in loaded.stdout and "kaiwa.engines" not in loaded.stdout, loaded.stdout


def test_help_names_every_command() -> None:
    shown = run("-m", "kaiwa", "--help").stdout

    assert all(name in shown for name in ("serve", "demo", "talk", "doctor", "bench"))


def test_a_language_without_a_script_ends_with_two_and_says_what_there_is() -> None:
    done = run("-m", "kaiwa", "demo", "--lang", "fr")

    assert done.returncode == 2
    assert "Use ja or en" in done.stderr and "Traceback" not in done.stderr


def test_a_server_that_nobody_runs_ends_with_two_and_a_sentence() -> None:
    done = run("-m", "kaiwa", "demo", "--url", "ws://127.0.0.1:9/v1/realtime?model=x")

    assert done.returncode == 2
    assert "nobody answers" in done.stderr and "Traceback" not in done.stderr


def test_doctor_names_the_models_and_how_to_mend_what_fails() -> None:
    done = run("-m", "kaiwa", "doctor", "--json")
    findings = json.loads(done.stdout)["findings"]

    names = [finding["name"] for finding in findings]
    assert {"Python", "Recognition model", "Voice activity model", "Database", "Audio devices"} <= set(names)
    assert all(finding["remedy"] for finding in findings if finding["state"] != "ok")
    assert done.returncode == int(any(finding["state"] == "failure" for finding in findings))
