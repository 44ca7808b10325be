"""A timer that does nothing else, every 20 ms: how late the machine itself is. Arguments: core, seconds."""

from __future__ import annotations

import os
import sys
import time

STEP_S = 0.02


def late_share(seconds: float) -> float:
    """Return the share of ticks that came 20 ms or more after their time."""
    begin, ticks, late = time.monotonic(), 0, 0
    while (due := begin + ticks * STEP_S) < begin + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        late += time.monotonic() - due >= STEP_S
        ticks += 1
    return late / ticks


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    print(late_share(float(sys.argv[2])))
