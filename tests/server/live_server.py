"""A real kaiwa server in a process of its own, for tests that talk to it over sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kaiwa.cli.local_server import free_port

START_TIMEOUT_S = 60.0


@contextmanager
def live_server(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[int]:
    """Start a server with `settings` in its environment; give its port once it answers; end it."""
    port = free_port()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("KAIWA_", "AZURE_OPENAI"))
    }
    command = [
        sys.executable,
        "-m",
        "kaiwa",
        "serve",
        "--port",
        str(port),
        "--database",
        str(directory / "desk.db"),
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=clean | {"KAIWA_DRAIN_S": "0"} | dict(settings or {}),
            cwd=directory,
        )
        try:
            _wait_until_it_answers(process, port, log)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def health(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.read().decode()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log) -> None:
    give_up = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < give_up:
        try:
            health(port)
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    log.seek(0)
    raise AssertionError(f"the server did not come up:\n{log.read()[-4000:].decode(errors='replace')}")
