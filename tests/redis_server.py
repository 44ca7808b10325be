"""A real redis-server for tests: a process of its own on a free port, in a temporary folder.

    from tests.redis_server import RedisProcess, redis_url, redis_process  # the fixtures

`redis_url` is one server for the whole module, emptied for each test; `redis_process` is one to stop and start.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_START_S = 10.0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class RedisProcess:
    """`start` waits until it answers; `stop` kills it. It keeps its port and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            pytest.fail("redis-server is missing. Install it: apt-get install redis-server", pytrace=False)
        self._folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        words += ["--dir", str(self._folder), "--logfile", str(self._folder / "redis.log")]
        assert self._binary is not None
        self._process = subprocess.Popen([self._binary, *words], stdout=subprocess.DEVNULL)
        until = time.monotonic() + _START_S
        while not self.answers():
            if time.monotonic() > until or self._process.poll() is not None:
                self.stop()
                pytest.fail(f"redis-server did not start: {(self._folder / 'redis.log').read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_START_S)
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def answers(self) -> bool:
        return self.command("PING") == b"+PONG\r\n"

    def command(self, *words: str) -> bytes:
        """Send one command that answers in one line; b"" when nobody answers."""
        line = " ".join(words).encode() + b"\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
                link.sendall(line)
                return link.recv(1024)
        except OSError:
            return b""


@pytest.fixture(scope="module")
def _redis_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def redis_url(_redis_of_module: RedisProcess) -> str:
    assert _redis_of_module.command("FLUSHALL") == b"+OK\r\n"
    return _redis_of_module.url


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    process.stop()
