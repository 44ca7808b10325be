"""What every client of SignalR in Python does alike: a job comes in, what was seen goes out, a cut is asked for.

Runs in an environment without kaiwa. `cut` is a line on standard output; whoever runs the program then drops the
client's connection.
"""

from __future__ import annotations

import json
import sys
from typing import Any

PATIENCE_S = 20.0


def read_job() -> dict[str, Any]:
    return json.load(sys.stdin)


def ask_for_a_cut() -> None:
    _say({"cut": True})


def tell(saw: dict[str, Any]) -> None:
    _say({"saw": saw})


def tell_failure(failure: BaseException) -> None:
    _say({"failed": f"{type(failure).__name__}: {failure}"})


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
