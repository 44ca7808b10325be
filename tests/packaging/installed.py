"""kaiwa as users have it: installed from the built wheel into an empty environment, or run by uvx.

Needs the package index for what is not in uv's cache yet. Nothing of this checkout is on the path of what runs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.packaging.building import ROOT

START_S = 90.0
INSTALL_S = 600
_WHERE = re.compile(r"kaiwa 会話  (http://\S+)")


def uv() -> str:
    found = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    assert Path(found).exists(), "uv is not installed: run scripts/setup.sh dev"
    return found


def clean_environment(home: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without this checkout, its settings or anybody's models; uv's cache is kept."""
    ours = ("KAIWA_", "AZURE_OPENAI", "OPENAI_", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    cache = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    return kept | {"HOME": str(home), "UV_CACHE_DIR": cache} | dict(settings or {})


@dataclass(frozen=True)
class Installed:
    """An environment that has kaiwa and what its extras asked for."""

    home: Path
    wheel: Path
    extras: str

    @property
    def kaiwa(self) -> str:
        return str(self.home / "venv" / "bin" / "kaiwa")

    def install(self) -> Installed:
        interpreter = str(Path(sys.base_prefix) / "bin" / "python3")
        python = str(self.home / "venv" / "bin" / "python")
        wanted = f"kaiwa{self.extras} @ {self.wheel.as_uri()}"
        for command in (
            [uv(), "venv", "--quiet", "--python", interpreter, str(self.home / "venv")],
            [uv(), "pip", "install", "--quiet", "--python", python, wanted],
        ):
            done = subprocess.run(
                command,
                env=clean_environment(self.home),
                cwd=self.home,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
            )
            assert done.returncode == 0, done.stderr
        return self

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.kaiwa, *words],
            env=clean_environment(self.home, settings),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


@contextmanager
def serving(command: Sequence[str], home: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server; give the address that it prints once it listens; end it."""
    log = home / "server.log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            command,
            env=clean_environment(home, settings),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
    impatience = threading.Timer(START_S, process.kill)
    impatience.start()
    try:
        assert process.stdout is not None, "a pipe was asked for"
        said = next((found for line in process.stdout if (found := _WHERE.search(line))), None)
        assert said is not None, f"the server did not come up:\n{log.read_text('utf-8')[-3000:]}"
        impatience.cancel()
        yield said[1]
    finally:
        impatience.cancel()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        assert process.stdout is not None
        process.stdout.close()


def demo_line(name: str = "ja/1-day-and-city.wav") -> Path:
    return ROOT / "src/kaiwa/apps/demo/lines" / name
