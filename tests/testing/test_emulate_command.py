"""`kaiwa emulate` as a process: what it tells, that it answers, and how it says what is wrong."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from websockets.sync.client import connect


@contextmanager
def emulating(*arguments: str) -> Iterator[str]:
    """Run the command on a free port; give what it printed once it serves."""
    command = [sys.executable, "-m", "kaiwa", "emulate", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            printed = ""
            while "Look:" not in printed:
                line = process.stdout.readline()
                assert line, f"it ended at once: {process.stderr.read() if process.stderr else ''}"
                printed += line
            yield printed
        finally:
            process.terminate()
            assert process.wait(10) == 0


def test_it_prints_an_address_and_a_key_that_work(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    rules = [{"pattern": "(.*)", "answers": [{"do": "say", "text": "You said \\1"}]}]
    script.write_text(json.dumps({"rules": rules}), encoding="utf-8")
    with emulating("--flavour", "azure", "--key", "demo", "--script", str(script)) as printed:
        address = re.search(r"WebSocket\s+(ws://\S+)", printed)
        assert address is not None
        assert "AZURE_OPENAI_API_KEY=demo" in printed
        assert "OPENAI_BASE_URL" not in printed
        with connect(address[1], additional_headers={"api-key": "demo"}) as peer:
            assert json.loads(peer.recv(10))["session"]["model"] == "gpt-realtime"
            part = {"type": "input_text", "text": "hi"}
            item = {"type": "message", "role": "user", "content": [part]}
            peer.send(json.dumps({"type": "conversation.item.create", "item": item}))
            peer.send(json.dumps({"type": "response.create"}))
            event = {"type": ""}
            while event["type"] != "response.done":
                event = json.loads(peer.recv(10))
    assert event["response"]["output"][0]["content"][0]["transcript"] == "You said hi"


def test_faults_may_be_there_from_the_start() -> None:
    with emulating("--fault", "refuse=invalid_api_key", "--key", "demo") as printed:
        address = re.search(r"WebSocket\s+(ws://\S+/v1/\S+)", printed)
        assert address is not None
        with connect(address[1], additional_headers={"Authorization": "Bearer demo"}) as peer:
            assert json.loads(peer.recv(10))["error"]["code"] == "invalid_api_key"


def refused(*arguments: str) -> str:
    command = [sys.executable, "-m", "kaiwa", "emulate", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    return run.stderr


def test_what_is_wrong_is_said_in_a_sentence() -> None:
    assert "nonsense" in refused("--port", "0", "--fault", "nonsense=1")
    assert "/no/such/file.json" in refused("--port", "0", "--script", "/no/such/file.json")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in refused("--port", port)


def test_how_chat_behaves_may_be_said_at_the_start() -> None:
    with emulating("--habit", "chunks_per_s=50,chunks=2") as printed:
        address = re.search(r"http://\S+/emulate/requests", printed)
        assert address is not None
        with urlopen(address[0].replace("/requests", "/habits"), timeout=10) as answer:
            habits = json.load(answer)
    assert (habits["chunks_per_s"], habits["chunks"]) == (50, 2)
