"""A PostgreSQL of the tests' own: in a temporary folder, on a free port, ended with them."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL = "apt-get install --no-install-recommends postgresql  (scripts/setup.sh dev does)"
START_TIMEOUT_S = 60


def binaries() -> Path:
    """Return the folder of the newest server installed. A missing one fails the tests that need it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, f"PostgreSQL is not installed: {INSTALL}"
    return Path(on_path).resolve().parent


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of the server's empty database."""
    folder = Path(tempfile.mkdtemp(prefix="kaiwa-postgres-"))
    data, tools, port = folder / "data", binaries(), _free_port()
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def run(program: str, *arguments: str) -> None:
        # The server refuses to run as root.
        as_user = ("runuser", "-u", user, "--") if os.geteuid() == 0 else ()
        command = [*as_user, str(tools / program), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=START_TIMEOUT_S)
        assert done.returncode == 0, f"{program} failed:\n{done.stdout}{done.stderr}{_log(folder)}"

    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        run("initdb", "-D", str(data), "-U", "kaiwa", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-F -h 127.0.0.1 -p {port} -k {folder} -c shared_buffers=16MB"
        run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://kaiwa@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _log(folder: Path) -> str:
    log = folder / "log"
    return log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
