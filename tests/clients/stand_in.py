"""The service behind the relay: `kaiwa emulate` in a process of its own, with what the five turns need to hear."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from tests.clients.place import SERVICE_KEY

from kaiwa.cli.local_server import free_port
from kaiwa.testing.service import Call, Rule, Say, Script

START_TIMEOUT_S = 30.0
NUMBERS = "".join(f"次は受付番号{number}番のお客様です。" for number in range(1000, 1060))
SCRIPT = Script(
    hears=("What's the weather like?",),
    rules=(
        Rule(
            pattern="東京の天気は？",
            answers=(Call(name="get_weather_for_location", arguments='{"location": "東京"}'),),
        ),
        Rule(pattern="long answer, please", answers=(Say(text=NUMBERS, pace_ms=50),)),
        Rule(pattern=".*", answers=(Say(text=r"\g<0>"),)),
    ),
    on_result=(Say(text="東京は21度、晴れです。"),),
)


@contextmanager
def stand_in(directory: Path) -> Iterator[str]:
    """Start the stand-in; give its address once it says where it listens; end it."""
    script, port = directory / "script.json", free_port()
    script.write_bytes(msgspec.json.encode(SCRIPT))
    command = [sys.executable, "-m", "kaiwa", "emulate", "--port", str(port)]
    command += ["--key", SERVICE_KEY, "--script", str(script)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)
        try:
            _wait_until_it_speaks(process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _wait_until_it_speaks(process: subprocess.Popen[bytes], log) -> None:
    give_up, said = time.monotonic() + START_TIMEOUT_S, b""
    while process.poll() is None and time.monotonic() < give_up:
        log.seek(0)
        said = log.read()
        if b"kaiwa" in said:
            return
        time.sleep(0.05)
    raise AssertionError(f"the stand-in did not come up:\n{said.decode(errors='replace')[-4000:]}")
