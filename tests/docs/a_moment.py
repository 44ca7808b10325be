"""`python a_moment.py COMMAND…`: run a command that serves until it says where, then end it as Ctrl-C would."""

from __future__ import annotations

import signal
import subprocess
import sys

ENDED = (0, 130, -signal.SIGINT, -signal.SIGTERM)


def main() -> int:
    serving = subprocess.Popen(
        sys.argv[1:],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_as_at_a_terminal,
    )
    assert serving.stdout is not None
    said = ""
    for line in serving.stdout:
        said += line
        if "http://127.0.0.1:" in line or "https://127.0.0.1:" in line:
            serving.send_signal(signal.SIGINT)
            break
    rest, _ = serving.communicate(timeout=30)
    if "127.0.0.1:" in said and serving.returncode in ENDED:
        return 0
    sys.stderr.write(said + rest)
    return 1


def _as_at_a_terminal() -> None:
    """Hear Ctrl-C, which a shell has the programs ignore that it runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
