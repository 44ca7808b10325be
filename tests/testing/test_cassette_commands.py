"""`kaiwa record`, `kaiwa replay` and the pytest plugin as their users meet them: in processes of their own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.testing.recorded import typed_talk

from kaiwa.testing.cassettes import load_cassette, replay_as_caller
from kaiwa.testing.service import Service

EXAMPLE = Path(__file__).parents[2] / "examples" / "recorded_call"


def kaiwa(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kaiwa", *arguments]


@contextmanager
def started(*arguments: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command until it has printed the word; give it and what it printed."""
    pipe: Any = subprocess.PIPE
    with subprocess.Popen(kaiwa(*arguments), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            printed = ""
            while until not in printed:
                line = process.stdout.readline()
                assert line, f"it ended at once: {process.stderr.read() if process.stderr else ''}"
                printed += line
            yield process, printed
        finally:
            process.kill()


async def test_a_killed_recorder_leaves_a_cassette_that_can_be_replayed(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "call.jsonl"
    command = ("record", str(path), service.url, "--port", "0", "--key", service.key)
    with started(*command, until="Ctrl-C") as (process, printed):
        address = re.search(r"export AZURE_OPENAI_ENDPOINT=(\S+)", printed)
        assert address is not None
        await typed_talk(address[1])
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert service.key not in path.read_text(encoding="utf-8")
    cassette = load_cassette(path)
    service.seed = 1
    report = await replay_as_caller(cassette, service.url, key=service.key)
    assert report.problems == []


@pytest.mark.clients
async def test_replay_ends_with_0_when_all_was_as_recorded_and_with_1_when_not() -> None:
    cassette = str(EXAMPLE / "weather_line.jsonl")
    with started("replay", cassette, "--virtual", "--port", "0", until="Ctrl-C") as (process, printed):
        address = re.search(r"on (http://\S+)", printed)
        assert address is not None
        report = await replay_as_caller(load_cassette(Path(cassette)), address[1])
        out, _ = process.communicate(timeout=10)
        assert (report.problems, process.returncode) == ([], 0)
        assert "記録どおり" in out
    with started("replay", cassette, "--virtual", "--port", "0", until="Ctrl-C") as (process, printed):
        address = re.search(r"on (http://\S+)", printed)
        assert address is not None
        await typed_talk_that_fails(address[1])
        _, told = process.communicate(timeout=10)
        assert process.returncode == 1
    assert "session.tools" in told


async def typed_talk_that_fails(url: str) -> None:
    from websockets.exceptions import ConnectionClosed

    try:
        await typed_talk(url)
    except ConnectionClosed:
        return
    raise AssertionError("a client that says something else must be stopped")


@pytest.mark.clients
def test_an_unknown_version_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text(json.dumps({"kaiwa_cassette": 9}) + "\n")
    run = subprocess.run(kaiwa("replay", str(path)), capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 2
    assert "new.jsonl is of version 9; this kaiwa reads version 1" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_recorded_call_is_a_regression_test_in_three_lines(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "call")
    test = tmp_path / "call" / "test_weather_line.py"
    text = test.read_text(encoding="utf-8")
    changed = text.replace("東京の天気は？", "大阪の天気は？").replace("weather_is_asked", "another_is_asked")
    (tmp_path / "call" / "test_other.py").write_text(changed, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "kaiwa.testing.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    run = subprocess.run(
        [*command, str(tmp_path / "call")], capture_output=True, text=True, timeout=180, check=False
    )
    assert run.returncode == 1, run.stderr
    assert "1 passed" in run.stdout, run.stdout
    assert "not as recorded in weather_line.jsonl" in run.stdout
    assert "item.content[0].text: recorded '東京の天気は？', came '大阪の天気は？'" in run.stdout
