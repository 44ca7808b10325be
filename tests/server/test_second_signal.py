"""An impatient operator: a second Ctrl-C ends a server at once, with a line in its log and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest


@pytest.mark.clients
def test_a_second_ctrl_c_costs_the_log_a_line(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "AZURE_"))}
    serving = subprocess.Popen(
        [sys.executable, "-m", "kaiwa", "serve", "--port", "0", "--database", str(tmp_path / "desk.db")],
        env=clean | {"KAIWA_ENGINE": "text", "KAIWA_DRAIN_NOTICE_S": "60"},  # it is long in ending
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore Ctrl-C, the tests and all they start among it.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert serving.stdout is not None and serving.stderr is not None, "both were asked for"
    try:
        assert "http://" in serving.stdout.readline()
        serving.send_signal(signal.SIGINT)
        assert "the server ends" in serving.stderr.readline()
        serving.send_signal(signal.SIGINT)
        _, told = serving.communicate(timeout=60)
    finally:
        serving.kill()
    assert serving.returncode == 130
    assert "Traceback" not in told and "before it had put everything away" in told
