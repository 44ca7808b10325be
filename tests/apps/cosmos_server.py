"""A stand-in of Cosmos DB for the tests: a program of npm on a free port, ended with them."""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parent / "cosmosdb"
KEY = (
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="  # everybody's
)
START_TIMEOUT_S = 60
_numbers = itertools.count(1)


@contextmanager
def cosmos_server() -> Iterator[str]:
    """Yield its address."""
    assert (FOLDER / "node_modules").exists(), (
        "the stand-in of Cosmos DB is not installed: scripts/setup-clients.sh"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen(["node", "server.cjs", str(port)], cwd=FOLDER)
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not _answers(port):
            assert server.poll() is None, "the stand-in of Cosmos DB ended at once"
            assert time.monotonic() < deadline_s, "the stand-in of Cosmos DB does not answer"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.kill()
        server.wait()


def fresh_database(address: str) -> str:
    """Return the connection string of a database nobody has used."""
    return f"AccountEndpoint={address};AccountKey={KEY};Database=desk-{next(_numbers)}"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
