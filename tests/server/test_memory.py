"""What a process that serves does with its memory, seen in what the kernel tells of it."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.server.live_server import live_server
from tests.server.test_text_only import process_at

LOADS_AND_MOVES = """
from pathlib import Path
from kaiwa.server.memory import use_large_pages

loaded = b"kaiwa" * 8_000_000
objects = [str(n) for n in range(100_000)]
use_large_pages()
assert loaded == b"kaiwa" * 8_000_000
assert objects == [str(n) for n in range(100_000)]
print(Path("/proc/self/smaps_rollup").read_text())
"""


def large_kb(rollup: str) -> int:
    found = re.search(r"^AnonHugePages:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None, "every kernel since 4.14 tells it"
    return int(found[1])


def kernel_has_large_pages() -> bool:
    """Whether a process may ask for them: Linux 6.1, built with them."""
    numbers = re.match(r"(\d+)\.(\d+)", platform.release())
    assert numbers is not None
    since = (int(numbers[1]), int(numbers[2])) >= (6, 1)
    return since and Path("/sys/kernel/mm/transparent_hugepage").exists()


def test_what_was_loaded_lies_in_large_pages_and_is_the_same() -> None:
    ran = subprocess.run([sys.executable, "-c", LOADS_AND_MOVES], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert (large_kb(ran.stdout) > 30_000) is kernel_has_large_pages(), "of the 40 MB that lie in a row"


def test_a_server_moves_its_memory_once_it_serves(tmp_path: Path) -> None:
    with live_server(tmp_path, {"KAIWA_ENGINE": "text"}) as port:
        rollup = process_at(port) / "smaps_rollup"
        give_up = time.monotonic() + 30
        while large_kb(rollup.read_text()) < 10_000 and time.monotonic() < give_up:
            time.sleep(0.05)  # only the kernel knows when it is done
        assert (large_kb(rollup.read_text()) >= 10_000) is kernel_has_large_pages()
